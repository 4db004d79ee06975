package dev.knapsack.cli;

import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.engine.TableReads;
import dev.knapsack.generation.Usage;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import dev.knapsack.plan.Plan;
import java.util.Locale;

/** Predicted figures beside measured ones. */
record Report(Plan plan, Usage usage, long predictedPeak, TableReads tables) {
  /** Within these the compiler is still at work, and rates measured say little about later ones. */
  private static final double WARM_UP_SECONDS = 3;

  /** Of the last answer of a program that writes so many at once. */
  static Report of(Knapsack knapsack, Usage usage, int samples) {
    return new Report(
        knapsack.plan(),
        usage,
        knapsack.engine().predictedPeak(usage.promptTokens(), usage.tokens(), samples),
        knapsack.engine().tableReads());
  }

  /** A table for people. */
  String text() {
    Plan.Prediction predicted = plan.prediction();
    StringBuilder out = new StringBuilder();
    out.append("%-24s %14s %14s%n".formatted("", "predicted", "measured"));
    row(out, "peak resident", Budget.formatSize(predictedPeak), Budget.formatSize(peakResident()));
    row(out, "  context and steps full", Budget.formatSize(plan.bytes()), "");
    row(out, "budget", Budget.formatSize(plan.budget()), "");
    if (usage.prefillSeconds() > 0) { // where a prompt is read first
      row(
          out,
          "prefill, tokens/s",
          number(predicted.prefillTokensPerSecond()),
          number(usage.prefillTokensPerSecond()));
    }
    row(
        out,
        "decode, tokens/s",
        number(predicted.decodeTokensPerSecond()),
        number(usage.decodeTokensPerSecond()));
    row(
        out,
        "first token, s",
        number(predicted.secondsToFirstToken()),
        number(usage.secondsToFirstToken()));
    if (tables.predicted() > 0) {
      row(
          out,
          "tables read, per token",
          Budget.formatSize(tables.predicted()),
          Budget.formatSize((long) tables.measured()));
    }
    row(out, "prompt tokens", Integer.toString(predicted.promptTokens()), promptTokens());
    row(out, "answer tokens", "", Integer.toString(usage.tokens()));
    row(out, "steps", "", Integer.toString(usage.steps()));
    row(
        out,
        "memory read, per second",
        Budget.formatSize((long) predicted.memoryBytesPerSecond()),
        "");
    if (usage.prefillSeconds() + usage.decodeSeconds() < WARM_UP_SECONDS) {
      out.append(
          "(The run was shorter than Java takes to compile what computes it: predicted is the speed"
              + " after that.)%n".formatted());
    }
    return out.toString();
  }

  /** The most bytes that the process ever had resident; 0 where the operating system is silent. */
  private static long peakResident() {
    return Footprint.now().map(Footprint::peak).orElse(0L);
  }

  private String promptTokens() {
    return usage.cachedTokens() == 0
        ? Integer.toString(usage.promptTokens())
        : "%d (%d cached)".formatted(usage.promptTokens(), usage.cachedTokens());
  }

  /** Adds the objects {@code predicted} and {@code measured}. */
  void addTo(JsonObject object) {
    Plan.Prediction p = plan.prediction();
    JsonObject predicted = new JsonObject();
    predicted.addProperty("bytes", plan.bytes());
    predicted.addProperty("peakResidentBytes", predictedPeak);
    predicted.addProperty("prefillTokensPerSecond", p.prefillTokensPerSecond());
    predicted.addProperty("decodeTokensPerSecond", p.decodeTokensPerSecond());
    predicted.addProperty("secondsToFirstToken", p.secondsToFirstToken());
    predicted.addProperty("promptTokens", p.promptTokens());
    predicted.addProperty("memoryBytesPerSecond", p.memoryBytesPerSecond());
    predicted.addProperty("tableBytesPerToken", tables.predicted());
    object.add("predicted", predicted);
    JsonObject measured = new JsonObject();
    measured.addProperty("peakResidentBytes", peakResident());
    measured.addProperty("prefillTokensPerSecond", usage.prefillTokensPerSecond());
    measured.addProperty("decodeTokensPerSecond", usage.decodeTokensPerSecond());
    measured.addProperty("secondsToFirstToken", usage.secondsToFirstToken());
    measured.addProperty("promptTokens", usage.promptTokens());
    measured.addProperty("cachedTokens", usage.cachedTokens());
    measured.addProperty("answerTokens", usage.tokens());
    measured.addProperty("steps", usage.steps());
    measured.addProperty("tableBytesPerToken", tables.measured());
    object.add("measured", measured);
  }

  private static void row(StringBuilder out, String what, String predicted, String measured) {
    out.append("%-24s %14s %14s%n".formatted(what, predicted, measured));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, value < 10 ? "%.2f" : "%.1f", value);
  }
}
