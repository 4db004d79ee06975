package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
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
 * <p>Usage: {@code bench/measure Assembly [ROUNDS]}. Each round is a process of its own, {@link
 * ColdStart}. Prints a Markdown table of medians; what the JVM's first native call takes comes
 * first, and is not in the sum.
 */
public final class Assembly {
  private Assembly() {}

  private record Figures(List<Double> milliseconds, long bytes) {}

  public static void main(String[] args) throws Exception {
    int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 9;
    Map<String, Figures> steps = new LinkedHashMap<>();
    List<Double> all = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      double total = 0;
      for (JsonElement element : coldStart()) {
        JsonObject step = element.getAsJsonObject();
        double milliseconds = step.get("milliseconds").getAsDouble();
        steps
            .computeIfAbsent(
                step.get("what").getAsString(),
                _ -> new Figures(new ArrayList<>(), step.get("bytes").getAsLong()))
            .milliseconds()
            .add(milliseconds);
        if (!step.get("what").getAsString().equals(ColdStart.FIRST_CALL)) {
          total += milliseconds;
        }
      }
      all.add(total);
    }
    System.out.println("| machine code of | generated and used once, ms | bytes |");
    System.out.println("|---|---|---|");
    steps.forEach((what, figures) -> row(what, figures.milliseconds(), figures.bytes()));
    steps.remove(ColdStart.FIRST_CALL);
    row("all of them", all, steps.values().stream().mapToLong(Figures::bytes).sum());
  }

  private static void row(String what, List<Double> milliseconds, long bytes) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.2f | %,d |%n",
        what,
        Medians.of(milliseconds.stream().mapToDouble(Double::doubleValue).toArray()),
        bytes);
  }

  private static JsonArray coldStart() throws IOException, InterruptedException {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
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
