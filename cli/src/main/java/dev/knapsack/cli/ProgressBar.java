package dev.knapsack.cli;

import dev.knapsack.memory.Budget;
import java.io.PrintStream;

/**
 * Shows how far long work has come: a bar that redraws on a terminal, a line at the end elsewhere.
 * Work that ends within half a second shows nothing.
 */
final class ProgressBar implements AutoCloseable {
  private static final long PATIENCE = 500_000_000L;
  private static final long REDRAW = 100_000_000L;

  private final PrintStream err;
  private String what;
  private final boolean redraw;
  private final long started = System.nanoTime();
  private long drawn;
  private long done;
  private long total;
  private boolean shown;

  ProgressBar(PrintStream err, String what, boolean terminal) {
    this.err = err;
    this.what = what;
    this.redraw = terminal;
  }

  /**
   * The work has come this far.
   *
   * @param total bytes in all, or 0 if nobody knows
   */
  synchronized void update(long done, long total) {
    this.done = done;
    this.total = total;
    long now = System.nanoTime();
    if (redraw && now - started > PATIENCE && now - drawn > REDRAW) {
      drawn = now;
      shown = true;
      err.print("\r" + line() + "\u001b[K");
      err.flush();
    }
  }

  /** The work on {@code what} has come this far. */
  synchronized void update(String what, long done, long total) {
    this.what = what;
    update(done, total);
  }

  private String line() {
    double seconds = (System.nanoTime() - started) / 1e9;
    String rate = seconds > 0 ? Budget.formatSize((long) (done / seconds)) + "/s" : "";
    if (total <= 0) {
      return "%s %s  %s".formatted(what, Budget.formatSize(done), rate);
    }
    int filled = (int) Math.min(24, 24 * done / total);
    return "%s [%s%s] %3d%%  %s of %s  %s"
        .formatted(
            what,
            "=".repeat(filled),
            " ".repeat(24 - filled),
            100 * done / total,
            Budget.formatSize(done),
            Budget.formatSize(total),
            rate);
  }

  @Override
  public synchronized void close() {
    if (shown) {
      err.print("\r\u001b[K");
    } else if (!redraw && done > 0 && System.nanoTime() - started > PATIENCE) {
      err.println(line());
    }
    err.flush();
  }
}
