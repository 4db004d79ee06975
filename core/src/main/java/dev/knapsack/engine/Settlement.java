package dev.knapsack.engine;

import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
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
    List<Answer> waiting = answer.siblings;
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
    next(answer, logits, row, now);
    for (Answer sibling : waiting) {
      if (!sibling.ended()) {
        sibling.computed(now, now);
        next(sibling, logits, row, now);
      }
    }
  }

  private void next(Answer answer, Matrix logits, int row, long now) {
    try {
      Session session = answer.session;
      Event.Token token =
          answer.sampler.sample(
              logits.data(), logits.rowOffset(row), logits.columns(), session.tokens);
      boolean endToken = endTokens.contains(token.id());
      if (!endToken || answer.request.ignoreEnd()) {
        session.tokens.add(token.id());
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
