package dev.knapsack.cli;

import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Quantizer;
import dev.knapsack.plan.PlanTable;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack quantize}: the same model in fewer bits. */
@Command(
    name = "quantize",
    sortOptions = false,
    description = "Writes a model as GGUF in another format, such as q8_0, q4_k or mxfp4.")
final class QuantizeCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A GGUF file or safetensors directory.")
  private String model = "";

  @Parameters(index = "1", paramLabel = "FORMAT", description = "The format of the matrices.")
  private String format = "";

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
  private @Nullable String outputFormat;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      description = "Threads that encode (default: one a core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (ModelFile file = ModelFile.open(ModelArgument.path(model));
        WorkerTeam team = new WorkerTeam(threads)) {
      Quantizer quantizer =
          new Quantizer(
              file,
              Formats.byName(format),
              outputFormat == null ? null : Formats.byName(outputFormat));
      try (ProgressBar bar = ProgressBar.onStandardError("quantizing")) {
        quantizer.write(
            output, Budget.ofBytes(quantizer.memory()).account("quantize"), team, bar::update);
      }
      quantizer.conversions().stream()
          .filter(Quantizer.Conversion::fellBack)
          .forEach(c ->
              System.err.printf(
                  "%s stays %s: its rows are no whole blocks of %s%n",
                  c.to().name(), c.to().format().name(), c.wanted().name()));
      System.err.printf("%s: %s%n", output, PlanTable.size(quantizer.bytes()));
    }
    return 0;
  }
}
