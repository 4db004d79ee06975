package dev.knapsack.cli;

import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Quantizer;
import dev.knapsack.tensor.Format;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack quantize}: the same model in fewer bits. */
@Command(
    name = "quantize",
    sortOptions = false,
    description = "Writes a model as GGUF in another format, such as q8_0, q4_k or mxfp4.",
    footer = {"", "  knapsack quantize model-f16.gguf q4_k -o model-q4_k.gguf"})
final class QuantizeCommand implements Callable<Integer> {
  private final Environment environment;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description =
          "A GGUF file, safetensors directory or ONNX encoder, or a name that 'list' shows.")
  private String model = "";

  @Parameters(index = "1", paramLabel = "FORMAT", description = "The format of the matrices.")
  private @Nullable Format format;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The file to write.")
  private Path output = Path.of("");

  @Option(
      names = "--output-format",
      paramLabel = "FORMAT",
      description =
          "The format of the output projection (default: q6_k, or FORMAT where that has more"
              + " bits).")
  private @Nullable Format outputFormat;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      description = "Threads that encode (default: one a core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  QuantizeCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (ModelFile file = ModelFile.open(ModelArgument.path(environment, model));
        WorkerTeam team = new WorkerTeam(threads)) {
      Stream.concat(file.notes().stream(), file.ggufNotes().stream())
          .forEach(note -> environment.streams().err().println("note: " + note));
      Quantizer quantizer = new Quantizer(file, Objects.requireNonNull(format), outputFormat);
      try (ProgressBar bar = environment.progress("quantizing")) {
        quantizer.write(
            output, Budget.ofBytes(quantizer.memory()).account("quantize"), team, bar::update);
      }
      quantizer.conversions().stream()
          .filter(Quantizer.Conversion::fellBack)
          .forEach(c ->
              environment
                  .streams()
                  .err()
                  .printf(
                      "%s is %s: its rows are no whole blocks of %s%n",
                      c.to().name(), c.to().format().name(), c.wanted().name()));
      environment.streams().err().printf("%s: %s%n", output, Budget.formatSize(quantizer.bytes()));
    }
    return 0;
  }
}
