package dev.knapsack.cli;

import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Request;
import dev.knapsack.engine.Sampling;
import dev.knapsack.engine.Stats;
import dev.knapsack.memory.Footprint;
import dev.knapsack.model.SyntheticModel;
import dev.knapsack.plan.Plan;
import dev.knapsack.plan.PlanTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code knapsack bench}: prefill and decode rates of a file, or of a shape with random weights.
 */
@Command(
    name = "bench",
    sortOptions = false,
    description =
        "Measures prefill and decode, beside what was predicted: of a file, or of a shape before"
            + " anything is downloaded.",
    footer = {
      "",
      "  knapsack bench model.gguf --memory 1GiB",
      "  knapsack bench --shape llama-3.2-1b:q4_0 --prompt 128",
    })
final class BenchCommand implements Callable<Integer> {
  private final Host host;
  @Mixin private final ModelArgument model;

  @Option(
      names = "--shape",
      paramLabel = "SHAPE[:FORMAT]",
      description = "Measure random weights in this shape, such as llama-3.2-1b:q4_0.")
  private @Nullable String shape;

  @Option(names = "--prompt", paramLabel = "TOKENS", description = "Tokens to read (default: 512).")
  private int prompt = 512;

  @Option(names = "--decode", paramLabel = "TOKENS", description = "Tokens to write (default: 64).")
  private int decode = 64;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Rounds, of which the medians are shown (default: 3).")
  private int rounds = 3;

  @Option(names = "--json", description = "Print one JSON line.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  BenchCommand(Host host) {
    this.host = host;
    this.model = new ModelArgument(host);
    this.engine = new EngineOptions(host);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (prompt < 1 || decode < 1 || rounds < 1) {
      throw new IllegalArgumentException(
          "--prompt, --decode and --rounds must be 1 or more, not %d, %d and %d"
              .formatted(prompt, decode, rounds));
    }
    if (shape != null && !model.embedded()) {
      throw new IllegalArgumentException(
          "A model and --shape were given: name one of them to measure.");
    }
    Path file = shape == null ? model.path() : synthetic(shape);
    engine.useContext(prompt + decode + 1);
    long started = System.nanoTime();
    try (Knapsack knapsack = engine.open(file)) {
      double load = (System.nanoTime() - started) / 1e9;
      double[] prefill = new double[rounds];
      double[] rates = new double[rounds];
      double[] first = new double[rounds];
      SplittableRandom random = new SplittableRandom(1);
      for (int round = 0; round < rounds; round++) {
        int[] tokens = random.ints(prompt, 0, knapsack.spec().vocabulary()).toArray();
        Request request =
            Request.of(tokens)
                .withMaxTokens(decode + 1)
                .withSampling(Sampling.GREEDY)
                .withIgnoreEnd(true);
        try (Answer answer = knapsack.engine().start(request)) {
          answer.text();
          Stats stats = answer.stats();
          prefill[round] = stats.prefillTokensPerSecond();
          rates[round] = stats.decodeTokensPerSecond();
          first[round] = stats.secondsToFirstToken();
        }
      }
      long peak = Footprint.now().map(Footprint::peak).orElse(0L);
      print(knapsack, file, median(prefill), median(rates), median(first), load, peak);
    }
    return 0;
  }

  private void print(
      Knapsack knapsack,
      Path file,
      double prefill,
      double rate,
      double first,
      double load,
      long peak) {
    Plan plan = knapsack.plan();
    Plan.Prediction predicted = plan.prediction();
    if (json) {
      JsonObject line = new JsonObject();
      line.addProperty("engine", "Knapsack");
      line.addProperty("kernels", knapsack.engine().kernels().kernels().name());
      line.addProperty("file", file.toString());
      line.addProperty("threads", plan.workers());
      line.addProperty("prefill", prefill);
      line.addProperty("decode", rate);
      line.addProperty("loadSeconds", load);
      line.addProperty("peakResidentBytes", peak);
      line.addProperty("predictedPrefill", predicted.prefillTokensPerSecond());
      line.addProperty("predictedDecode", predicted.decodeTokensPerSecond());
      line.addProperty("predictedBytes", plan.bytes());
      host.streams().out().println(line);
      return;
    }
    host.streams()
        .out()
        .printf(
            "%s, %d threads, %s%n",
            plan.model(), plan.workers(), knapsack.engine().kernels().reason());
    host.streams().out().printf("%-34s %12s %12s%n", "", "predicted", "measured");
    row("prefill of " + prompt + " tokens, tokens/s", predicted.prefillTokensPerSecond(), prefill);
    row("decode of " + decode + " tokens, tokens/s", predicted.decodeTokensPerSecond(), rate);
    row("first token, s", predicted.secondsToFirstToken(), first);
    host.streams()
        .out()
        .printf(
            "%-34s %12s %12s%n",
            "peak resident", PlanTable.size(plan.bytes()), PlanTable.size(peak));
    host.streams().out().printf(Locale.ROOT, "%-34s %12s %12.2f%n", "load, s", "", load);
  }

  private void row(String what, double predicted, double measured) {
    host.streams().out().printf(Locale.ROOT, "%-34s %12.2f %12.2f%n", what, predicted, measured);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** A synthetic model in the cache directory, written when it is not there. */
  private Path synthetic(String shape) throws IOException {
    SyntheticModel model = SyntheticModel.of(shape);
    Path file =
        host.cache()
            .resolve("synthetic")
            .resolve(
                model.shape().name()
                    + "-"
                    + model.format().name().toLowerCase(Locale.ROOT)
                    + ".gguf");
    if (!Files.exists(file)) {
      Files.createDirectories(file.getParent());
      SynthCommand.write(host, model, file, 1);
      host.streams().err().println("kept for the next time: " + file);
    }
    return file;
  }
}
