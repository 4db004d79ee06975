package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Machine code: how long generating all of it takes in a JVM that has just started, and how many
 * bytes it is.
 *
 * <p>Usage: {@code bench/measure Assembly [ROUNDS]}. Each round is two processes, {@link
 * ColdStart}: one that has to load and interpret all classes, and one with an ahead-of-time cache,
 * as the launcher starts Knapsack. Prints a Markdown table of medians; what the JVM's first native
 * call takes comes first, and is not in the sum.
 */
public final class Assembly {
  private Assembly() {}

  /** Milliseconds of each round, without the cache and with it. */
  private record Figures(List<Double> plain, List<Double> cached, long bytes) {
    static Figures of(long bytes) {
      return new Figures(new ArrayList<>(), new ArrayList<>(), bytes);
    }

    List<Double> of(boolean cache) {
      return cache ? cached : plain;
    }
  }

  public static void main(String[] args) throws Exception {
    int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 9;
    Map<String, Figures> steps = new LinkedHashMap<>();
    Figures all = Figures.of(0);
    Path cache = Files.createTempFile("knapsack", ".aot");
    try {
      coldStart("-XX:AOTCacheOutput=" + cache);
      for (int round = 0; round < rounds; round++) {
        for (boolean cached : new boolean[] {false, true}) {
          double total = 0;
          for (JsonElement element :
              coldStart(cached ? "-XX:AOTCache=" + cache : "-XX:+UseSerialGC")) {
            JsonObject step = element.getAsJsonObject();
            double milliseconds = step.get("milliseconds").getAsDouble();
            steps
                .computeIfAbsent(
                    step.get("what").getAsString(), _ -> Figures.of(step.get("bytes").getAsLong()))
                .of(cached)
                .add(milliseconds);
            if (!step.get("what").getAsString().equals(ColdStart.FIRST_CALL)) {
              total += milliseconds;
            }
          }
          all.of(cached).add(total);
        }
      }
    } finally {
      Files.delete(cache);
    }
    System.out.println(
        "| machine code of | generated and used once, ms | with the launcher's cache, ms | bytes"
            + " |");
    System.out.println("|---|---|---|---|");
    steps.forEach((what, figures) -> row(what, figures, figures.bytes()));
    steps.remove(ColdStart.FIRST_CALL);
    row("all of them", all, steps.values().stream().mapToLong(Figures::bytes).sum());
  }

  private static void row(String what, Figures figures, long bytes) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.2f | %.2f | %,d |%n",
        what,
        median(figures.plain()),
        median(figures.cached()),
        bytes);
  }

  private static double median(List<Double> milliseconds) {
    return Medians.of(milliseconds.stream().mapToDouble(Double::doubleValue).toArray());
  }

  private static JsonArray coldStart(String option) throws IOException, InterruptedException {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
            option,
            "-cp",
            System.getProperty("java.class.path"),
            ColdStart.class.getName());
    JsonArray steps =
        JsonCommand.run(command, ProcessBuilder.Redirect.INHERIT).getAsJsonArray("steps");
    if (steps == null) {
      throw new IllegalStateException("No machine code was generated: see standard error");
    }
    return steps;
  }
}
