package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code knapsack embed} and {@code knapsack rerank} as typed. */
class EmbedCommandsTest {
  @TempDir Path home;
  private Shell shell;
  private Path bert;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
    bert = Shell.data("golden/bert/model.gguf");
  }

  @Test
  void writesVectorsInEachForm() throws IOException {
    Shell.Result lines =
        shell.input("a b c\n\na b c\n").run("embed", bert, "-m", "2GiB").succeeded();
    List<JsonObject> rows =
        lines.out().lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    assertThat(rows).hasSize(3);
    assertThat(rows.get(1).get("tokens").getAsInt()).isEqualTo(2);
    assertThat(rows.get(2).get("embedding")).isEqualTo(rows.getFirst().get("embedding"));
    assertThat(lines.err()).contains("3 texts, 12 tokens in");

    Path texts = home.resolve("texts.jsonl");
    Files.writeString(
        texts, "{\"body\": \"a b c\"}\n{\"body\": \"%s\"}\n".formatted("d ".repeat(99)));
    for (String form : List.of("npy", "f32")) {
      Path vectors = home.resolve("vectors." + form);
      Shell.Result result =
          shell
              .run("embed", bert, "-m", "2GiB", "-i", texts, "--field", "body", "-o", vectors)
              .succeeded();
      assertThat(result.err()).contains("2 texts, 69 tokens, 1 of them cut");
      byte[] bytes = Files.readAllBytes(vectors);
      int header = form.equals("npy") ? 128 : 0;
      assertThat(bytes).hasSize(header + 2 * 64 * 4);
      if (header > 0) {
        assertThat(new String(bytes, 1, 127, StandardCharsets.ISO_8859_1))
            .startsWith(
                "NUMPY\u0001\u0000v\u0000{'descr': '<f4', 'fortran_order': False, 'shape': (2, 64),"
                    + " }")
            .endsWith(" \n");
      }
      float first = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getFloat(header);
      float expected = rows.getFirst().getAsJsonArray("embedding").get(0).getAsFloat();
      assertThat(first).isCloseTo(expected, within(1e-7f));
    }
    shell
        .run("embed", bert, "-m", "2GiB", "-i", texts, "--field", "body", "--refuse-long")
        .failed(2, "101 tokens", "64");
    shell.run("embed", bert, "-m", "2GiB", "-i", texts).failed(4, "Line 1", "'text'");
  }

  @Test
  void ordersDocuments() {
    Path model = Shell.data("golden/bert_rerank/model.gguf");
    Shell.Result all =
        shell
            .input("a b\nc d\ne f\n")
            .run("rerank", model, "-m", "2GiB", "-q", "a c", "--json")
            .succeeded();
    List<JsonObject> rows =
        all.out().lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    assertThat(rows.stream().map(r -> r.get("index").getAsInt()))
        .containsExactlyInAnyOrder(0, 1, 2);
    assertThat(rows.get(0).get("score").getAsDouble())
        .isGreaterThanOrEqualTo(rows.get(1).get("score").getAsDouble());
    Shell.Result best =
        shell
            .input("a b\nc d\ne f\n")
            .run("rerank", model, "-m", "2GiB", "-q", "a c", "--top", 1)
            .succeeded();
    assertThat(best.out().lines()).hasSize(1);
    assertThat(best.out().trim()).endsWith(rows.getFirst().get("document").getAsString());
    shell.run("rerank", bert, "-m", "2GiB", "-q", "a").failed(4, "embedding model");
    shell.run("run", model, "-m", "2GiB", "-p", "a").failed(4, "knapsack rerank");
  }

  @Test
  void plansAndInspects() {
    Shell.Result plan = shell.run("plan", bert, "-m", "2GiB").succeeded();
    assertThat(plan.out())
        .contains("in 2.00 GiB: texts of up to 64 tokens")
        .containsPattern("CHOICE +BYTES +READ +COST")
        .containsPattern("Expect: [\\d.,]+ tok/s, a text of 32 tokens after");
    assertThat(shell.run("inspect", bert).succeeded().out()).contains("pooling_type");
  }
}
