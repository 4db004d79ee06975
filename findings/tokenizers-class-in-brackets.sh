#!/bin/sh
# Hugging Face tokenizers 0.21 (in ai.djl.huggingface:tokenizers 0.38.0) splits by expressions of Oniguruma, where a class means
# something else inside brackets: \w takes a superscript two and [\w] does not; [[:punct:]] takes + and $, \p{Punct} does not.
# Whoever translates such an expression for another engine has to know which of the two was written.
# Seen: the pieces of "m² +$" by the four expressions.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >pom.xml <<'END'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>ai.djl.huggingface</groupId>
      <artifactId>tokenizers</artifactId>
      <version>0.38.0</version>
    </dependency>
  </dependencies>
</project>
END
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies -DoutputDirectory=lib -Dmaven.repo.local="$work/m2" >&2
cat >tokenizer.json <<'END'
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
 "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "PATTERN"}, "behavior": "Isolated", "invert": false},
 "post_processor": null, "decoder": null,
 "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}
END
cat >Finding.java <<'END'
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

public class Finding {
  public static void main(String[] args) throws Exception {
    String json = Files.readString(Path.of("tokenizer.json"));
    String text = "m\u00B2 +$";
    for (String pattern : new String[] {"\\\\w+", "[\\\\w]+", "[[:punct:]]", "\\\\p{Punct}"}) {
      Path file = Files.writeString(Path.of("with.json"), json.replace("PATTERN", pattern));
      try (var tokenizer = HuggingFaceTokenizer.newInstance(file, Map.of("truncation", "false"))) {
        StringBuilder pieces = new StringBuilder(pattern.replace("\\\\", "\\"));
        for (CharSpan span : tokenizer.encode(text).getCharTokenSpans()) {
          pieces.append(" ").append(span.getStart()).append("-").append(span.getEnd());
        }
        System.out.println(pieces);
      }
    }
  }
}
END
expected='\w+ 0-2 2-5
[\w]+ 0-1 1-5
[[:punct:]] 0-3 3-4 4-5
\p{Punct} 0-5'
actual=$(DJL_CACHE_DIR=$work/djl OPT_OUT_TRACKING=true java -Dai.djl.offline=true -cp 'lib/*' Finding.java 2>/dev/null)
echo "$actual"
[ "$actual" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
