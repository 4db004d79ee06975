package dev.knapsack.cli;

import static java.nio.file.StandardWatchEventKinds.ENTRY_MODIFY;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.WatchService;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
class BatchCommandTest {
  private static final int LINES = 40;

  @TempDir Path folder;
  private Path in;
  private Path out;

  @BeforeEach
  void write() throws IOException {
    in = folder.resolve("in.jsonl");
    out = folder.resolve("out.jsonl");
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < LINES; i++) {
      lines.add(
          """
          {"custom_id": "line %d", "method": "POST", "url": "/v1/chat/completions", "body": \
          {"messages": [{"role": "user", "content": "Eve put ring %d in the kitchen. Where is ring %d?"}], \
          "max_tokens": 20}}\
          """
              .formatted(i, i, i));
    }
    Files.write(in, lines);
  }

  private static String id(String line) {
    return JsonParser.parseString(line).getAsJsonObject().get("custom_id").getAsString();
  }

  @Test
  void answersAFileAndSaysSo() throws Exception {
    String lines = Files.readString(in);
    String bad =
        lines.substring(0, lines.indexOf('\n')).replace("line 0", "bad").replace("20}", "0}");
    Files.writeString(in, lines + bad);
    Shell.Result result =
        new Shell(folder).run("batch", in, "-o", out, "--memory", "1GiB").succeeded();
    assertThat(result.err()).contains("41 requests: 40 answered, 1 failed (" + out + ".errors)");
    assertThat(Files.readAllLines(out)).hasSize(LINES);
    assertThat(Files.readAllLines(Path.of(out + ".errors"))).hasSize(1);
  }

  /** Models of all kinds share the budget, whatever of the options is for conversations alone. */
  @Test
  void asksModelsOfAllKinds() throws Exception {
    Path encoder =
        Path.of(
            System.getProperty("knapsack.root"),
            "core/src/test/resources/dev/knapsack/small-encoder.gguf");
    Files.writeString(
        in,
        """
        {"custom_id": "v", "url": "/v1/embeddings", "body": {"model": "small", "input": ["a", "b"]}}
        {"custom_id": "r", "url": "/v1/completions", "body": {"model": "judge", "prompt": "a"}}
        {"custom_id": "c", "url": "/v1/completions", "body": {"model": "notes", "prompt": "a", "max_tokens": 1}}
        """);
    Shell shell = new Shell(folder);
    Shell.Result result =
        shell
            .run(
                "batch",
                in,
                "-o",
                out,
                "--memory",
                "1GiB",
                "--context",
                "512",
                "--model",
                "small=" + encoder,
                "--model",
                "judge=" + encoder.resolveSibling("small-reranker.gguf"),
                "--model",
                "notes=" + EmbeddedModel.extract(Shell.CACHE))
            .succeeded();
    assertThat(result.err()).contains("3 requests: 2 answered, 1 failed");
    assertThat(Files.readAllLines(out)).extracting(BatchCommandTest::id).containsOnly("v", "c");
    assertThat(Files.readString(Path.of(out + ".errors")))
        .contains("'judge' is a reranker")
        .contains("'notes'");
  }

  @Test
  void losesNothingWhenItIsKilled() throws Exception {
    ProcessBuilder builder =
        Shell.process("batch", in.toString(), "-o", out.toString(), "--memory", "1GiB");
    try (WatchService watch = folder.getFileSystem().newWatchService()) {
      folder.register(watch, ENTRY_MODIFY);
      Process process =
          builder.redirectErrorStream(true).redirectOutput(folder.resolve("log").toFile()).start();
      while (!Files.exists(out) || Files.size(out) == 0) {
        watch.take().reset(); // the log is in this folder too, so that it is told of the end
        assertThat(process.isAlive()).as(Files.readString(folder.resolve("log"))).isTrue();
      }
      process.destroyForcibly().waitFor();
    }
    new Shell(folder).run("batch", in, "-o", out, "--memory", "1GiB").succeeded();
    List<String> ids = Files.readAllLines(out).stream().map(BatchCommandTest::id).toList();
    assertThat(ids).hasSize(LINES).doesNotHaveDuplicates();
  }

  @Test
  void refusesAFileThatIsNoneBeforeItLoadsAModel() throws Exception {
    Files.writeString(in, "{}\n");
    new Shell(folder).run("batch", in, "-o", out).failed(Main.BAD_FILE, "line 1", "custom_id");
    new Shell(folder).run("batch", folder.resolve("none"), "-o", out).failed(Main.BAD_FILE, "none");
  }
}
