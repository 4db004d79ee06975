package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.Run;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * The logits of a text, computed step by step in pages and a workspace of its own, so that what a
 * step gave stays while others compute.
 */
final class TextLogits implements AutoCloseable {
  /**
   * The logits of some positions, in order; valid until the next step.
   *
   * @param from the first of them
   */
  record Rows(int from, Matrix logits) {
    void forEach(Engine.LogitsUse use) {
      for (int row = 0; row < logits.rows(); row++) {
        use.accept(from + row, logits.data().asSlice(logits.rowOffset(row), logits.rowBytes()));
      }
    }
  }

  private final Engine engine;
  private final int[] tokens;
  private final int first;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private final KvPool pages;
  private final SequenceState state;
  private final Workspace workspace;
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
    this.first = first;
    KvLayout layout = engine.kvLayout();
    int chunk = engine.plan().prefillChunk();
    Budget budget = engine.budget();
    long cached = layout.bytes(tokens.length, chunk);
    int rows = rows(engine, Math.min(chunk, tokens.length), cached);
    try {
      Lease promise = hold(budget.account("kv").reserve(cached));
      Account purse = Budget.ofBytes(promise.bytes()).account("kv");
      this.pages = hold(engine.pages(purse));
      this.state = hold(pages.sequence());
      this.workspace =
          hold(new Workspace(engine.spec(), layout, rows, rows, budget.account("activations")));
      this.transformer = engine.transformer(workspace);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    // What comes before is the prompt, to the end of the step that gives the first logits.
    int most = workspace.tokens();
    state.prompt(tokens.length);
    int step = most - state.lookahead(most);
    state.prompt(Math.min(tokens.length, (first / step + 1) * step));
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
    long available = engine.budget().available();
    for (int rows = most; ; rows /= 2) {
      long wanted = cached + Workspace.bytes(engine.spec(), engine.kvLayout(), rows, rows);
      if (wanted <= available) {
        return rows;
      }
      if (rows == 1) {
        throw new BudgetExceededException("kv", wanted, available, engine.budget().total());
      }
    }
  }

  boolean done() {
    return state.length() == tokens.length;
  }

  /** Computes the next tokens, on the engine's thread. */
  Rows step() {
    int from = state.length();
    int most = workspace.tokens();
    Chunk chunk = Chunk.next(state, tokens.length - from, most, most);
    int to = from + chunk.tokens();
    int rows = Math.clamp(to - first, 0, chunk.tokens());
    Matrix logits =
        engine.forward(
            transformer, List.of(Run.ahead(state, tokens, from, to, rows, chunk.ahead())));
    state.settle();
    pages.compact();
    return new Rows(to - rows, logits);
  }

  @Override
  public void close() {
    Engine.closeAll(held);
  }
}
