#!/bin/sh
# Hugging Face tokenizers 0.21 (in ai.djl.huggingface:tokenizers 0.38.0): the "id" of an added token in tokenizer.json is not
# used. A token that the model does not have gets the next free id instead, without an error or a word, so a reader that believes the
# file gives the model other rows of its embedding than the library does.
# Seen: <x>, with "id": 700 beside a vocabulary of three, is encoded as 3.
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
{"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [{"id": 700, "content": "<x>", "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true}],
 "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
 "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}
END
cat >Finding.java <<'END'
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

public class Finding {
  public static void main(String[] args) throws Exception {
    try (var tokenizer =
        HuggingFaceTokenizer.newInstance(Path.of("tokenizer.json"), Map.of("truncation", "false"))) {
      System.out.println(Arrays.toString(tokenizer.encode("a <x>").getIds()));
    }
  }
}
END
expected='[0, 3]'
actual=$(DJL_CACHE_DIR=$work/djl OPT_OUT_TRACKING=true java -Dai.djl.offline=true -cp 'lib/*' Finding.java 2>/dev/null)
echo "$actual"
[ "$actual" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
