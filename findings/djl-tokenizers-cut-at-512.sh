#!/bin/sh
# ai.djl.huggingface:tokenizers 0.38.0: a tokenizer that is opened without options cuts every text at 512 tokens, although
# tokenizer.json says "truncation": null and names no length. Nothing is thrown, and without a logging backend nothing is said.
# The library beneath it (Hugging Face tokenizers) cuts nothing by default; "truncation" has to be set to "false".
# Seen: 512 of 1000 tokens; with the option, 1000.
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
 "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
 "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}
END
cat >Finding.java <<'END'
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.nio.file.Path;
import java.util.Map;

public class Finding {
  public static void main(String[] args) throws Exception {
    String text = "a ".repeat(1000);
    for (Map<String, String> options : new Map[] {Map.of(), Map.of("truncation", "false")}) {
      try (var tokenizer = HuggingFaceTokenizer.newInstance(Path.of("tokenizer.json"), options)) {
        System.out.println(tokenizer.encode(text).getIds().length);
      }
    }
  }
}
END
expected='512
1000'
actual=$(DJL_CACHE_DIR=$work/djl OPT_OUT_TRACKING=true java -Dai.djl.offline=true -cp 'lib/*' Finding.java 2>/dev/null)
echo "$actual"
[ "$actual" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
