package dev.knapsack.cli;

import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.eval.Calibrating;
import dev.knapsack.eval.Question;
import dev.knapsack.file.FilePlace;
import dev.knapsack.model.CalibrationFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.plan.KvChoice;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack calibrate}: what a model's heads look at, for KV recipes that go by it. */
@Command(
    name = "calibrate",
    sortOptions = false,
    description =
        "Measures what the model's attention heads look at, and writes it beside the model for the"
            + " KV recipes that go by it: duo, compresskv, hack, scalekv, epicache; and, in a"
            + " second file, in which directions their keys and values take the fewest numbers, for"
            + " cskv.",
    footer = {
      "",
      "Without a model it takes the one inside, and questions made for it. It asks",
      "32 unless --limit says otherwise: more hardly change the figures.",
      "",
      "  knapsack calibrate",
      "  knapsack calibrate model.gguf --questions questions.jsonl",
    })
final class CalibrateCommand implements Callable<Integer> {
  /** More hardly change the figures. */
  private static final int USUAL_LIMIT = 32;

  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Mixin private final QuestionOptions asking = new QuestionOptions();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description =
          "The file to write (default: the model's name with .kv.json, beside it); the second lies"
              + " beside it, with .cskv.gguf behind its name instead.")
  private @Nullable Path output;

  @Mixin private final EngineOptions engine;

  CalibrateCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (output != null) {
      FilePlace.of(output); // what cannot be written is refused before anything is measured
    }
    Path path = engine.path(model);
    Calibrating.Found found =
        Calibrating.of(path, questions())
            .measure(
                (policy, context) ->
                    engine.open(
                        path,
                        o ->
                            o.withCacheFormat(KvChoice.of(KvFormat.F16).withPolicy(policy))
                                .withPrefixes(false)
                                .withSequences(1),
                        context),
                environment.counter("asked"));
    Path file = output == null ? ModelCompanions.path(path, Calibration.FILE) : output;
    Path directions = directions(file);
    CalibrationFile.write(file, found.figures());
    found.directions().write(directions);
    environment
        .streams()
        .err()
        .printf(
            "%s, %s: %d questions, of which %d were answered rightly%n",
            file, directions.getFileName(), found.figures().prompts(), found.figures().right());
    return 0;
  }

  /** The second file, beside the first. */
  private static Path directions(Path figures) {
    String name = Objects.requireNonNull(figures.getFileName()).toString();
    String end = "." + Calibration.FILE.suffix();
    String model = name.endsWith(end) ? name.substring(0, name.length() - end.length()) : name;
    return figures.resolveSibling(model + "." + HeadBases.FILE.suffix());
  }

  private List<Question> questions() throws IOException {
    List<Question> questions = asking.of(model, USUAL_LIMIT);
    if (questions.isEmpty()) {
      throw new IllegalArgumentException(
          "Calibrating asks the model questions that its prompts answer. Give some: --questions"
              + " FILE.jsonl");
    }
    return questions;
  }
}
