package dev.knapsack.constraint;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Progress;
import dev.knapsack.model.PublishedShape;
import dev.knapsack.model.SyntheticModel;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.answer.StrictJson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * Answers of models that would never write JSON by themselves, held to random schemas over all
 * keywords: each that ends by itself is given to a validator.
 *
 * <p>Usage: {@code bench/measure SchemaSweep [SCHEMAS [MODEL...]]}, by default 2,000 and a model of
 * random weights; prints a table, then what was refused by its reason, and what was wrong.
 */
final class SchemaSweep {
  /** Answers that are written side by side. */
  private static final int BATCH = 8;

  /** Any token may come, and the marks that end something more often than others. */
  private static final Sampling WILD = Sampling.DEFAULT.withTemperature(2).withTopK(0).withTopP(1);

  private static final float ENDING = 8;

  final Map<String, Integer> refused = new TreeMap<>();
  final List<String> wrong = new ArrayList<>();
  int ended;
  int cut;

  private record Asked(int seed, String schema, Generation answer) {}

  /** Has answers written to the schemas of these seeds, and checks them. */
  void run(Knapsack knapsack, int from, int to) throws IOException {
    Map<Integer, Float> bias = new HashMap<>();
    for (String mark : List.of("\"", "}", "]", ",", ":")) {
      int[] tokens = knapsack.tokens(mark, false);
      bias.put(tokens[tokens.length - 1], ENDING);
    }
    List<Asked> asked = new ArrayList<>();
    for (int seed = from; seed < to; seed++) {
      String schema = StrictJson.write(new RandomSchemas(new Random(seed)).document());
      try {
        asked.add(
            new Asked(
                seed,
                schema,
                knapsack.generate(
                    GenerationRequest.ofText("Once upon a time")
                        .withConstraint(new Constraint.JsonSchema(schema))
                        .withSampling(WILD.withLogitBias(bias).withSeed(seed))
                        .withMaxTokens(300))));
      } catch (ConstraintException e) {
        refused.merge(reason(e), 1, Integer::sum);
      }
      if (asked.size() == BATCH || seed == to - 1) {
        for (Asked one : asked) {
          check(one);
        }
        asked.clear();
      }
    }
  }

  private void check(Asked asked) throws IOException {
    String about = "seed %d, schema %s".formatted(asked.seed, asked.schema);
    Generation.Result result;
    try {
      result = asked.answer.result().toCompletableFuture().join();
    } catch (RuntimeException e) {
      wrong.add("%s: %s".formatted(about, e));
      return;
    }
    if (result.reason() != FinishReason.END_TOKEN) {
      cut++;
      return;
    }
    ended++;
    String json = result.message().text();
    List<Object> errors =
        StrictJson.parse(json).isEmpty()
            ? List.of("no JSON")
            : new SchemaValidator(asked.schema).errors(json);
    if (!errors.isEmpty()) {
      wrong.add("%s wrote %s: %s".formatted(about, json, errors));
    }
  }

  /** The problem without what is of one schema alone. */
  private static String reason(ConstraintException e) {
    String problem = e.getMessage().substring(e.place().isEmpty() ? 0 : e.place().length() + 2);
    return problem.replaceAll("'[^']*'|\"[^\"]*\"|\\d[\\d,]*", "…");
  }

  /** Writes a model of random weights. */
  static Path randomModel(Path folder) {
    PublishedShape shape = PublishedShape.named("llama-3.2-1b");
    PublishedShape small =
        new PublishedShape(
            "random",
            shape.architecture(),
            2048,
            64,
            2,
            4,
            2,
            16,
            96,
            0,
            0,
            0,
            1024,
            shape.ropeBase(),
            shape.normEpsilon(),
            true,
            Map.of());
    Path file = folder.resolve("random.gguf");
    Budget budget = Budget.of("64MiB");
    new SyntheticModel(small, Formats.F32).write(file, 1, budget.account("synth"), Progress.NONE);
    return file;
  }

  static Options options() {
    return Options.usual().withContext(400).withSequences(BATCH).withConstraints(true);
  }

  public static void main(String[] args) throws IOException {
    int schemas = args.length == 0 ? 2000 : Integer.parseInt(args[0]);
    Path folder = Files.createTempDirectory("sweep");
    Path random = randomModel(folder);
    List<Path> models = new ArrayList<>(List.of(random));
    for (int i = 1; i < args.length; i++) {
      models.add(Path.of(args[i]));
    }
    StringBuilder table =
        new StringBuilder("| model | schemas | refused | ended | of these valid | cut short |\n")
            .append("|---|---|---|---|---|---|\n");
    Map<String, Integer> reasons = new TreeMap<>();
    List<String> wrong = new ArrayList<>();
    for (Path model : models) {
      SchemaSweep sweep = new SchemaSweep();
      Host host = new Host(Budget.of("512MiB"), Host.Options.usual().withCache(folder));
      try (Knapsack knapsack = Knapsack.open(model, host, options())) {
        sweep.run(knapsack, 0, schemas);
      }
      int refused = sweep.refused.values().stream().mapToInt(n -> n).sum();
      table.append(
          "| %s | %,d | %,d | %,d | %,d | %,d |%n"
              .formatted(
                  model.getFileName(),
                  schemas,
                  refused,
                  sweep.ended,
                  sweep.ended - sweep.wrong.size(),
                  sweep.cut));
      reasons = sweep.refused;
      wrong.addAll(sweep.wrong);
    }
    System.out.print(table);
    System.out.println("\n| refused | schemas |\n|---|---|");
    reasons.forEach((reason, count) -> System.out.printf("| %s | %,d |%n", reason, count));
    wrong.forEach(System.out::println);
    Files.delete(random);
  }
}
