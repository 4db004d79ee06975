package dev.knapsack.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.Knapsack;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack logits}: all logits of a sequence, to check against other engines. */
@Command(
    name = "logits",
    sortOptions = false,
    description =
        "Writes the logits at every position of a token sequence: float32, little-endian, tokens ×"
            + " vocabulary.")
final class LogitsCommand implements Callable<Integer> {
  @Mixin private ModelArgument model = new ModelArgument();
  @Mixin private EngineOptions engine = new EngineOptions();

  @Option(
      names = "--tokens",
      paramLabel = "IDS.json",
      required = true,
      description = "A JSON array of token ids; nothing is added to it.")
  private Path tokens = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.f32",
      required = true,
      description = "The file to write.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException, InterruptedException {
    int[] ids = ids(tokens);
    Path part = output.resolveSibling(output.getFileName() + ".part");
    try (Knapsack knapsack = engine.open(model.path());
        FileChannel out =
            FileChannel.open(
                part,
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING)) {
      check(ids, knapsack.spec().vocabulary());
      knapsack
          .engine()
          .logits(
              ids,
              (_, logits) -> {
                try {
                  var bytes = logits.asByteBuffer();
                  while (bytes.hasRemaining()) {
                    out.write(bytes);
                  }
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
      System.err.printf("%d × %d logits%n", ids.length, knapsack.spec().vocabulary());
    } catch (UncheckedIOException e) {
      Files.deleteIfExists(part);
      throw e.getCause();
    } catch (RuntimeException | IOException e) {
      Files.deleteIfExists(part);
      throw e;
    }
    Files.move(part, output, StandardCopyOption.REPLACE_EXISTING);
    return 0;
  }

  private static int[] ids(Path file) throws IOException {
    try {
      JsonArray array = JsonParser.parseString(Files.readString(file)).getAsJsonArray();
      int[] ids = array.asList().stream().mapToInt(JsonElement::getAsInt).toArray();
      if (ids.length > 0) {
        return ids;
      }
    } catch (JsonParseException | IllegalStateException | NumberFormatException e) {
      throw new IllegalArgumentException(
          file + " must hold a JSON array of token ids, such as [1, 42, 7]: " + e.getMessage(), e);
    }
    throw new IllegalArgumentException(file + " holds no token ids");
  }

  private static void check(int[] ids, int vocabulary) {
    for (int id : ids) {
      if (id < 0 || id >= vocabulary) {
        throw new IllegalArgumentException(
            "Token " + id + " is not in the vocabulary: 0 to " + (vocabulary - 1));
      }
    }
  }
}
