package dev.knapsack.engine;

import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Set;

/**
 * What becomes of the answers of a {@link Batch} once its logits are there: each is settled by
 * itself, and what goes wrong with one ends that one.
 */
final class Settlement {
  private final Set<Integer> endTokens;

  /**
   * @param endTokens tokens that end an answer
   */
  Settlement(Set<Integer> endTokens) {
    this.endTokens = endTokens;
  }

  /**
   * Takes what was computed into the sequences and chooses tokens; that may end answers.
   *
   * @param begin when the step began, in nanoseconds
   * @param end when it ended
   */
  void settle(Batch batch, Matrix logits, long begin, long end) {
    int row = 0;
    for (int i = 0; i < batch.answers().size(); i++) {
      Answer answer = batch.answers().get(i);
      Run run = batch.runs().get(i);
      int rows = run.logits();
      try {
        answer.session.settle(run);
        answer.computed(begin, end);
        if (rows > 0) {
          choose(answer, logits, row, end);
        }
      } catch (RuntimeException | Error e) {
        answer.lose();
        fail(answer, e);
      }
      row += rows;
    }
  }

  /** Ends the answers that a step was for, and those that waited for their prompts. */
  static void fail(Batch batch, Throwable problem) {
    batch.answers().forEach(answer -> fail(answer, problem));
  }

  private static void fail(Answer answer, Throwable problem) {
    List<Answer> waiting = answer.siblings;
    answer.siblings = List.of();
    answer.fail(problem);
    for (Answer sibling : waiting) {
      sibling.leader = null;
      sibling.fail(problem);
    }
  }

  /** Chooses the next token of an answer, and the first one of those that waited for its prompt. */
  private void choose(Answer answer, Matrix logits, int row, long now) {
    long offset = logits.rowOffset(row);
    List<Answer> waiting = answer.siblings;
    if (waiting.isEmpty()) {
      next(answer, logits.data(), offset, now);
      return;
    }
    // Each is to see the logits as they are, before another's penalties.
    float[] original = new float[logits.columns()];
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, offset, original, 0, original.length);
    answer.siblings = List.of();
    for (Answer sibling : waiting) {
      sibling.leader = null;
      try {
        sibling.session.become(answer.session);
      } catch (RuntimeException | Error e) {
        sibling.lose();
        sibling.fail(e);
      }
    }
    next(answer, logits.data(), offset, now);
    for (Answer sibling : waiting) {
      if (!sibling.ended()) {
        sibling.computed(now, now);
        MemorySegment.copy(
            original, 0, logits.data(), ValueLayout.JAVA_FLOAT, offset, original.length);
        next(sibling, logits.data(), offset, now);
      }
    }
  }

  private void next(Answer answer, MemorySegment logits, long offset, long now) {
    try {
      Session session = answer.session;
      int token = answer.sampler.sample(logits, offset, session.tokens);
      boolean endToken = endTokens.contains(token);
      if (!endToken || answer.request.ignoreEnd()) {
        session.tokens.add(token);
      }
      answer.accept(token, endToken, now);
      if (!answer.ended() && session.tokens.size() >= session.capacity) {
        switch (answer.request.overflow()) {
          case Request.Overflow.Stop() -> answer.finish(FinishReason.CONTEXT_FULL);
          case Request.Overflow.Shift(int keep) -> session.shift(keep);
        }
      }
    } catch (RuntimeException | Error e) {
      answer.fail(e);
    }
  }
}
