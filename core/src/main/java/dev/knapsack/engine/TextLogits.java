package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The logits of a text, computed step by step in pages and a workspace of its own, so that what a
 * step gave stays while others compute.
 */
final class TextLogits implements AutoCloseable {
  private final Engine engine;
  private final int[] tokens;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private final KvPool pages;
  private final Passage passage;
  private final Transformer transformer;

  /**
   * Takes the memory; to be done on the engine's thread.
   *
   * @param first the first position whose logits are wanted
   * @throws BudgetExceededException if it does not fit
   */
  TextLogits(Engine engine, int[] tokens, int first) {
    this.engine = engine;
    this.tokens = tokens;
    KvLayout layout = engine.kvLayout();
    int chunk = engine.plan().prefillChunk();
    long cached = layout.bytes(tokens.length, chunk);
    int rows = rows(engine, Math.min(chunk, tokens.length), cached);
    try {
      Lease promise = hold(engine.kv().reserve(cached));
      // A budget has a byte at the least; some models cache nothing.
      Account purse = Budget.ofBytes(Math.max(1, promise.bytes())).account("kv");
      this.pages = hold(engine.pages(purse));
      SequenceState state = hold(pages.sequence());
      Workspace workspace =
          hold(new Workspace(engine.spec(), layout, rows, rows, engine.activations()));
      this.transformer = engine.transformer(workspace);
      // What comes before is the prompt, to the end of the step that gives the first logits.
      int most = workspace.tokens();
      state.prompt(tokens.length);
      int step = most - state.kv().view().lookahead(most);
      state.prompt(Math.min(tokens.length, (first / step + 1) * step));
      this.passage = new Passage(state, tokens, first, most, () -> {});
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private <T extends AutoCloseable> T hold(T resource) {
    held.push(resource);
    return resource;
  }

  /**
   * Rows of a workspace that the budget has room for beside the cache, {@code most} at most: looked
   * up before anybody gives anything back for one of the two.
   */
  private static int rows(Engine engine, int most, long cached) {
    Account kv = engine.kv();
    long whole = cached + Workspace.bytes(engine.spec(), engine.kvLayout(), most, most);
    // Others are asked only where it matters: they may be at a step.
    long available = whole <= kv.free() ? whole : kv.available();
    for (int rows = most; ; rows /= 2) {
      long wanted = cached + Workspace.bytes(engine.spec(), engine.kvLayout(), rows, rows);
      if (wanted <= available) {
        return rows;
      }
      if (rows == 1 || engine.spec().readsWholeTexts()) {
        throw new BudgetExceededException(kv.name(), wanted, available, kv.budget().total());
      }
    }
  }

  boolean done() {
    return passage.done() == tokens.length;
  }

  /** Computes the next tokens, on the engine's thread. */
  Passage.Rows step() {
    Passage.Rows rows = engine.step(transformer, passage);
    pages.compact();
    return rows;
  }

  @Override
  public void close() {
    Engine.closeAll(held);
  }
}
