package dev.knapsack.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.file.ModelFile;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.SyntheticModel;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.Footprint;
import dev.knapsack.plan.Plan;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code knapsack bench}: prefill and decode rates of a file, or of a shape with random weights,
 * and the share of the machine's limits that they reach.
 */
@Command(
    name = "bench",
    sortOptions = false,
    description =
        "Measures prefill and decode, beside what was predicted and what the machine could do at"
            + " the most: of a file, or of a shape before anything is downloaded.",
    footer = {
      "",
      "  knapsack bench model.gguf",
      "  knapsack bench model.gguf --memory 1GiB --depths 0",
      "  knapsack bench --shape llama-3.2-1b:q4_0 --prompt 128",
    })
final class BenchCommand implements Callable<Integer> {
  private static final List<Integer> USUAL_DEPTHS = List.of(0, 4096, 16384);

  private final Environment environment;
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
      names = "--depths",
      paramLabel = "TOKENS",
      split = ",",
      description =
          "Tokens that are in the cache already, which is filled by reading them (default:"
              + " 0,4096,16384, as far as the model was trained for).")
  private @Nullable List<Integer> depths;

  @Option(
      names = "--random-cache",
      description =
          "Fill the cache with random numbers instead of reading tokens: as many bytes, in seconds"
              + " instead of minutes.")
  private boolean randomCache;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Rounds, of which the medians are shown (default: 3).")
  private int rounds = 3;

  @Option(names = "--json", description = "Print one JSON line.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  BenchCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
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
    Path file = shape == null ? engine.path(model) : synthetic(shape);
    DepthBench bench = new DepthBench(prompt, decode, rounds, randomCache);
    List<Integer> measured = depths(file, bench);
    engine.usePrefixes(false); // what is measured is computed
    engine.useContext(bench.context(measured.getLast()));
    long started = System.nanoTime();
    try (Knapsack knapsack = engine.open(file)) {
      double load = (System.nanoTime() - started) / 1e9;
      List<DepthBench.Result> results = bench.measure(knapsack, measured, this::filling);
      long peak = Footprint.now().map(Footprint::peak).orElse(0L);
      if (json) {
        printJson(knapsack, file, results, load, peak);
      } else {
        print(knapsack, results, load, peak);
      }
    }
    return 0;
  }

  /** The depths to measure at, in rising order, each once. */
  private List<Integer> depths(Path file, DepthBench bench) {
    int trained;
    try (ModelFile header = ModelFile.open(file)) {
      ModelSpec spec = Families.spec(header);
      if (spec.diffusion() != null) {
        throw new IllegalArgumentException(
            "%s denoises texts, and what is measured here is reading and writing token by token; 'run --stats' measures an answer of it."
                .formatted(spec.name()));
      }
      trained = spec.context();
    }
    if (depths == null) {
      return USUAL_DEPTHS.stream()
          .filter(depth -> depth == 0 || bench.context(depth) <= trained)
          .toList();
    }
    for (int depth : depths) {
      if (depth < 0 || (depth > 0 && bench.context(depth) > trained)) {
        throw new IllegalArgumentException(
            "--depths %d: the model was trained for %,d tokens, and measuring takes %,d of them; give 0 to %d."
                .formatted(
                    depth, trained, bench.context(0), Math.max(0, trained - bench.context(0))));
      }
    }
    return depths.stream().distinct().sorted().toList();
  }

  /** Filling a cache takes minutes, when models are large. */
  private void filling(int depth) {
    if (depth > 0 && environment.streams().errorIsTerminal()) {
      environment
          .streams()
          .err()
          .printf(
              randomCache
                  ? "%,d tokens of random numbers%n"
                  : "reading %,d tokens into the cache%n",
              depth);
    }
  }

  private void printJson(
      Knapsack knapsack, Path file, List<DepthBench.Result> results, double load, long peak) {
    Plan plan = knapsack.plan();
    Plan.Prediction predicted = plan.prediction();
    DepthBench.Result first = results.getFirst();
    JsonObject line = new JsonObject();
    line.addProperty("engine", "Knapsack");
    line.addProperty("kernels", knapsack.engine().kernels().kernels().name());
    line.addProperty("file", file.toString());
    line.addProperty("model", plan.model());
    line.addProperty("threads", plan.workers());
    line.addProperty("keyFormat", plan.cache().format().keys().name());
    line.addProperty(
        "activations",
        switch (first.limits().precision()) {
          case FLOAT -> "float";
          case EIGHT_BIT -> "8-bit";
        });
    line.addProperty("promptTokens", prompt);
    line.addProperty("decodeTokens", decode);
    line.addProperty("rounds", rounds);
    line.addProperty("prefill", first.prefill());
    line.addProperty("decode", first.decode());
    line.addProperty("loadSeconds", load);
    line.addProperty("peakResidentBytes", peak);
    line.addProperty("predictedPrefill", predicted.prefillTokensPerSecond());
    line.addProperty("predictedDecode", predicted.decodeTokensPerSecond());
    line.addProperty("predictedBytes", plan.bytes());
    JsonArray all = new JsonArray();
    for (DepthBench.Result result : results) {
      JsonObject at = new JsonObject();
      at.addProperty("depth", result.depth());
      at.addProperty("prefill", result.prefill());
      at.addProperty("decode", result.decode());
      at.addProperty("memoryBytesPerSecond", result.limits().memoryBytesPerSecond());
      at.addProperty("multiplyAddsPerSecond", result.limits().multiplyAddsPerSecond());
      at.addProperty("prefillShareOfArithmetic", result.prefillShare());
      at.addProperty("decodeShareOfMemory", result.decodeShare());
      at.addProperty("prefillBytesPerToken", result.prefillWork().bytes());
      at.addProperty("prefillMultiplyAddsPerToken", result.prefillWork().multiplyAdds());
      at.addProperty("decodeBytesPerToken", result.decodeWork().bytes());
      at.addProperty("decodeMultiplyAddsPerToken", result.decodeWork().multiplyAdds());
      all.add(at);
    }
    line.add("depths", all);
    environment.streams().out().println(line);
  }

  private void print(Knapsack knapsack, List<DepthBench.Result> results, double load, long peak) {
    Plan plan = knapsack.plan();
    Plan.Prediction predicted = plan.prediction();
    PrintStream out = environment.streams().out();
    out.printf("%s, %d threads, %s%n", plan.model(), plan.workers(), knapsack.kernels());
    out.printf("%-34s %12s %12s %12s%n", "", "predicted", "measured", "of the limit");
    boolean fromEmpty = results.getFirst().depth() == 0;
    String reading = "prefill of " + prompt + " tokens, tokens/s";
    String writing = "decode of " + decode + " tokens, tokens/s";
    if (!fromEmpty) {
      row(reading, "", "");
    }
    for (DepthBench.Result r : results) {
      row(reading, r, predicted.prefillTokensPerSecond(), r.prefill(), r.prefillShare());
    }
    if (!fromEmpty) {
      row(writing, "", "");
    }
    for (DepthBench.Result r : results) {
      row(writing, r, predicted.decodeTokensPerSecond(), r.decode(), r.decodeShare());
    }
    if (fromEmpty) {
      DepthBench.Result first = results.getFirst();
      row("first token, s", figure(predicted.secondsToFirstToken()), figure(first.firstSeconds()));
    }
    row("peak resident", Budget.formatSize(plan.bytes()), Budget.formatSize(peak));
    row("load, s", "", figure(load));
    out.println();
    out.println("limits: what all threads can do at the most, measured in the same minutes");
    for (DepthBench.Result r : results) {
      out.printf(
          Locale.ROOT,
          "%-34s memory %.1f GB/s, arithmetic %.1f G multiply-adds/s%n",
          after(r),
          r.limits().memoryBytesPerSecond() / 1e9,
          r.limits().multiplyAddsPerSecond() / 1e9);
    }
  }

  /** Prints a row; what was predicted is for an empty cache. */
  private void row(
      String what, DepthBench.Result at, double predicted, double measured, double share) {
    boolean empty = at.depth() == 0;
    environment
        .streams()
        .out()
        .printf(
            Locale.ROOT,
            "%-34s %12s %12s %10.0f %%%n",
            empty ? what : after(at),
            empty ? figure(predicted) : "",
            figure(measured),
            100 * share);
  }

  private void row(String what, String predicted, String measured) {
    environment.streams().out().printf("%-34s %12s %12s%n", what, predicted, measured);
  }

  private static String after(DepthBench.Result at) {
    return at.depth() == 0 ? "  at once" : "  after %,d tokens".formatted(at.depth());
  }

  private static String figure(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  /** A synthetic model in the cache directory, written when it is not there. */
  private Path synthetic(String shape) throws IOException {
    SyntheticModel model = SyntheticModel.of(shape);
    Path file =
        environment
            .cache()
            .resolve("synthetic")
            .resolve(
                model.shape().name()
                    + "-"
                    + model.format().name().toLowerCase(Locale.ROOT)
                    + ".gguf");
    if (!Files.exists(file)) {
      Files.createDirectories(file.getParent());
      SynthCommand.write(environment, model, file, 1);
      environment.streams().err().println("kept for the next time: " + file);
    }
    return file;
  }
}
