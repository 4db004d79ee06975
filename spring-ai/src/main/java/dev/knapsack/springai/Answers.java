package dev.knapsack.springai;

import dev.knapsack.generation.Usage;
import java.util.ArrayList;
import java.util.List;

/** The answers of one model: how many are under way, and the tokens of those that have ended. */
final class Answers {
  // Guarded by this.
  private int underWay;
  private KnapsackChatModel.Totals totals = new KnapsackChatModel.Totals(0, 0, 0);
  private final List<Runnable> waiting = new ArrayList<>();

  synchronized void begun() {
    underWay++;
  }

  /** One has ended, or has not come to be. */
  void ended(Usage usage) {
    List<Runnable> now;
    synchronized (this) {
      totals =
          new KnapsackChatModel.Totals(
              totals.promptTokens() + usage.promptTokens(),
              totals.cachedTokens() + usage.cachedTokens(),
              totals.generatedTokens() + usage.tokens());
      underWay--;
      now = underWay == 0 ? List.copyOf(waiting) : List.of();
      waiting.removeAll(now);
    }
    now.forEach(Runnable::run);
  }

  void whenNone(Runnable action) {
    synchronized (this) {
      if (underWay > 0) {
        waiting.add(action);
        return;
      }
    }
    action.run();
  }

  synchronized KnapsackChatModel.Totals totals() {
    return totals;
  }
}
