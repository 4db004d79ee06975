package dev.knapsack.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.Knapsack;
import dev.knapsack.file.FilePlace;
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
            + " vocabulary.",
    footer = {
      "",
      "  knapsack tokenize model.gguf -p 'Once upon a time' --json > ids.json",
      "  knapsack logits model.gguf --tokens ids.json -o logits.f32 --kv-format f32",
    })
final class LogitsCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;
  @Mixin private final EngineOptions engine;

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

  LogitsCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path place = FilePlace.of(output);
    int[] ids = ids(tokens);
    Path file = engine.path(model);
    if (ids.length > engine.usualContext(file)) {
      engine.useContext(ids.length);
    }
    Path part = place.resolveSibling(place.getFileName() + ".part");
    try (Knapsack knapsack = engine.open(file);
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
      environment
          .streams()
          .err()
          .printf("%d × %d logits%n", ids.length, knapsack.spec().vocabulary());
    } catch (UncheckedIOException e) {
      Files.deleteIfExists(part);
      throw e.getCause();
    } catch (RuntimeException | IOException e) {
      Files.deleteIfExists(part);
      throw e;
    }
    Files.move(part, place, StandardCopyOption.REPLACE_EXISTING);
    return 0;
  }

  private static int[] ids(Path file) throws IOException {
    try {
      JsonArray array = JsonParser.parseString(Files.readString(file)).getAsJsonArray();
      int[] ids =
          array.asList().stream().mapToInt(id -> id.getAsBigDecimal().intValueExact()).toArray();
      if (ids.length > 0) {
        return ids;
      }
    } catch (JsonParseException
        | IllegalStateException
        | ArithmeticException
        | NumberFormatException e) {
      throw new IllegalArgumentException(
          file + " must hold a JSON array of token ids, such as [1, 42, 7]", e);
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
