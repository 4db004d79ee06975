package dev.knapsack.cli;

import dev.knapsack.memory.Budget;
import dev.knapsack.model.PublishedShape;
import dev.knapsack.model.SyntheticModel;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack synth}: a model with random weights in a real model's shape. */
@Command(
    name = "synth",
    sortOptions = false,
    description =
        "Writes a GGUF file with random weights in a real model's shape, to measure before"
            + " downloading. It loads and computes as the real one does, and talks nonsense.",
    footer = {
      "",
      "  knapsack synth                              lists the shapes",
      "  knapsack synth llama-3.2-1b:q4_0 -o 1b.gguf",
    })
final class SynthCommand implements Callable<Integer> {
  private final Environment environment;

  @Parameters(
      index = "0",
      paramLabel = "SHAPE[:FORMAT]",
      arity = "0..1",
      description = "Such as llama-3.2-1b:q4_0; without one, all shapes are listed.")
  private @Nullable String shape;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "The file to write (default: SHAPE-FORMAT.gguf here).")
  private @Nullable Path output;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Another seed gives other weights (default: 1).")
  private long seed = 1;

  SynthCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() {
    if (shape == null) {
      environment
          .streams()
          .out()
          .println(
              PublishedShape.all().stream()
                  .map(PublishedShape::name)
                  .collect(Collectors.joining("\n")));
      return 0;
    }
    SyntheticModel model = SyntheticModel.of(shape);
    Path target = output != null ? output : Path.of(shape.replace(':', '-') + ".gguf");
    write(environment, model, target, seed);
    environment.streams().err().printf("%s: %s%n", target, Budget.formatSize(model.bytes()));
    return 0;
  }

  static void write(Environment environment, SyntheticModel model, Path target, long seed) {
    try (ProgressBar bar = environment.progress("writing")) {
      model.write(target, seed, Budget.ofBytes(model.memory()).account("synth"), bar::update);
    }
  }
}
