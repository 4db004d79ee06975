package dev.knapsack.plan;

import dev.knapsack.memory.Budget;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A plan as a table for people. */
final class PlanTable {
  private PlanTable() {}

  /** The whole plan: bytes by account, choices with what else there was, speed to expect. */
  static String render(Plan plan) {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT,
            "%s in %s: %s, %d worker%s%n%n",
            plan.model(),
            Budget.formatSize(plan.budget()),
            work(plan),
            plan.workers(),
            plan.workers() == 1 ? "" : "s"));

    List<String[]> rows = new ArrayList<>();
    rows.add(new String[] {"ACCOUNT", "BYTES", "", "WHAT"});
    for (Plan.Share share : plan.shares()) {
      rows.add(row(share.account(), share.bytes(), share.what()));
    }
    rows.add(row("peak", plan.bytes(), "predicted resident set at its largest"));
    rows.add(row("spare", plan.budget() - plan.bytes(), ""));
    columns(out, rows, 1, 2);
    out.append('\n');

    boolean writes = writes(plan);
    double speed =
        writes
            ? plan.prediction().decodeTokensPerSecond()
            : plan.prediction().prefillTokensPerSecond();
    rows = new ArrayList<>();
    rows.add(new String[] {"CHOICE", "", "BYTES", writes ? "DECODE" : "READ", "COST"});
    for (Plan.Choice choice : plan.choices()) {
      rows.add(
          new String[] {
            choice.component(),
            "* " + choice.chosen(),
            Budget.formatSize(plan.bytes()),
            rate(speed),
            ""
          });
      for (Plan.Alternative other : choice.alternatives()) {
        rows.add(
            new String[] {
              "",
              "  " + other.name(),
              Budget.formatSize(other.bytes()),
              rate(other.decodeTokensPerSecond()),
              other.cost()
            });
      }
    }
    columns(out, rows, 2, 3);
    out.append('\n');

    Plan.Prediction p = plan.prediction();
    if (!writes) {
      out.append(
          String.format(
              Locale.ROOT,
              "Expect: %s, a text of %,d tokens after %s; memory read at %s/s%n",
              rate(p.prefillTokensPerSecond()),
              p.promptTokens(),
              seconds(p.secondsToFirstToken()),
              Budget.formatSize((long) p.memoryBytesPerSecond())));
      plan.notes().forEach(note -> out.append("Note: ").append(note).append('\n'));
      return out.toString();
    }
    out.append(
        String.format(
            Locale.ROOT,
            "Expect: prefill %s, decode %s, first token after %s (prompt of %,d tokens); memory"
                + " read at %s/s%n",
            rate(p.prefillTokensPerSecond()),
            rate(p.decodeTokensPerSecond()),
            seconds(p.secondsToFirstToken()),
            p.promptTokens(),
            Budget.formatSize((long) p.memoryBytesPerSecond())));
    if (plan.sequences() > 1) {
      int recent = plan.cache().format().recent();
      out.append(
          "Seeds: equal requests with equal seeds have equal answers, whatever is computed beside"
              + " them");
      out.append(
          recent == 0
              ? "\n"
              : "; their prompts share no beginnings, since the last %d tokens stay in F16%n"
                  .formatted(recent));
    }
    plan.notes().forEach(note -> out.append("Note: ").append(note).append('\n'));
    return out.toString();
  }

  /** Says whether the model writes answers, and does not make vectors or scores of texts alone. */
  private static boolean writes(Plan plan) {
    return plan.prediction().decodeTokensPerSecond() > 0;
  }

  private static String work(Plan plan) {
    return writes(plan)
        ? "%,d tokens of context, %d sequence%s"
            .formatted(plan.context(), plan.sequences(), plan.sequences() == 1 ? "" : "s")
        : "texts of up to %,d tokens".formatted(plan.context());
  }

  private static String[] row(String account, long bytes, String what) {
    return new String[] {
      account, String.format(Locale.ROOT, "%,d", bytes), Budget.formatSize(bytes), what
    };
  }

  private static String rate(double tokensPerSecond) {
    return String.format(
        Locale.ROOT, tokensPerSecond < 10 ? "%.2f tok/s" : "%.1f tok/s", tokensPerSecond);
  }

  private static String seconds(double seconds) {
    return seconds < 1
        ? String.format(Locale.ROOT, "%.0f ms", seconds * 1000)
        : String.format(Locale.ROOT, "%.1f s", seconds);
  }

  /** Lines up columns; those from {@code right} to {@code rightEnd} by their last character. */
  private static void columns(StringBuilder out, List<String[]> rows, int right, int rightEnd) {
    int[] widths = new int[rows.getFirst().length];
    for (String[] row : rows) {
      for (int c = 0; c < widths.length; c++) {
        widths[c] = Math.max(widths[c], row[c].length());
      }
    }
    for (String[] row : rows) {
      StringBuilder text = new StringBuilder();
      for (int c = 0; c < widths.length; c++) {
        String space = " ".repeat(widths[c] - row[c].length());
        text.append(c >= right && c <= rightEnd ? space + row[c] : row[c] + space).append("  ");
      }
      out.append(text.toString().stripTrailing()).append('\n');
    }
  }
}
