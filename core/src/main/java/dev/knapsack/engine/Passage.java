package dev.knapsack.engine;

import dev.knapsack.cache.SequenceState;
import dev.knapsack.generation.Event;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Tokens on their way into a sequence that has the model to itself, a step at a time; used on the
 * engine's thread.
 */
final class Passage implements Batch.Work {
  /**
   * The logits of some tokens, in order; valid until the next step.
   *
   * @param from the index of the first of them in the passage
   */
  record Rows(int from, Matrix logits) {
    void forEach(Engine.LogitsUse use) {
      for (int row = 0; row < logits.rows(); row++) {
        use.accept(from + row, logits.data().asSlice(logits.rowOffset(row), logits.rowBytes()));
      }
    }
  }

  private final SequenceState state;
  private final int[] tokens;
  private final int first;
  private final int most;
  private final Runnable computed;
  private int done;
  private @Nullable Rows rows;
  private @Nullable Throwable problem;

  /**
   * @param first the index of the first token whose logits are wanted
   * @param most tokens of a step
   * @param computed is called in each step before the sequence forgets any of its tokens
   */
  Passage(SequenceState state, int[] tokens, int first, int most, Runnable computed) {
    this.state = state;
    this.tokens = tokens;
    this.first = first;
    this.most = most;
    this.computed = computed;
  }

  /** Tokens that have been computed. */
  int done() {
    return done;
  }

  /**
   * Computes the next tokens.
   *
   * @return the logits of those among them whose are wanted
   */
  Rows step(Batch.Forward forward, WorkerTeam team) {
    Chunk chunk = Chunk.next(state, tokens.length - done, most, most);
    int to = done + chunk.tokens();
    int logits = Math.clamp(to - first, 0, chunk.tokens());
    Run run = Run.ahead(state, tokens, done, to, logits, chunk.ahead());
    new Batch<>(List.of(this), List.of(run)).compute(forward, team, System::nanoTime);
    if (problem != null) {
      throw new Event.Failure(problem).thrown();
    }
    return Objects.requireNonNull(rows);
  }

  @Override
  public void settle(Run run, long begin, long end) {
    computed.run();
    state.settle();
    done += run.added();
  }

  @Override
  public void use(Matrix logits, int row, int count) {
    rows = new Rows(done - count, logits.rows(row, row + count));
  }

  @Override
  public void finish() {}

  @Override
  public void fail(Throwable problem) {
    this.problem = problem;
  }
}
