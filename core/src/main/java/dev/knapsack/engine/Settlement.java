package dev.knapsack.engine;

import dev.knapsack.constraint.Cursor;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The outcome of a step for an answer, and for those that waited until it had read their prompt:
 * what goes wrong with one ends that one.
 */
final class Settlement implements Batch.AnswerWork {
  private final Answer answer;
  private final Set<Integer> endTokens;

  /** Those whose next token is chosen in this step. */
  private final List<Answer> writing = new ArrayList<>();

  private long now;

  /**
   * @param endTokens tokens that end an answer
   */
  Settlement(Answer answer, Set<Integer> endTokens) {
    this.answer = answer;
    this.endTokens = endTokens;
  }

  @Override
  public Answer answer() {
    return answer;
  }

  @Override
  public void settle(Run run, long begin, long end) {
    now = end;
    try {
      answer.session.settle(run);
    } catch (RuntimeException | Error e) {
      answer.lose();
      throw e;
    }
    answer.computed(begin, end);
    if (run.logits() > 0) {
      writing.add(answer);
      for (Answer sibling : released()) {
        try {
          sibling.session.become(answer.session);
          sibling.computed(end, end);
          writing.add(sibling);
        } catch (RuntimeException | Error e) {
          sibling.lose();
          sibling.fail(e);
        }
      }
    }
  }

  /** The answers that waited for this one to read their prompt, and do no longer. */
  private List<Answer> released() {
    List<Answer> siblings = answer.siblings;
    answer.siblings = List.of();
    siblings.forEach(sibling -> sibling.leader = null);
    return siblings;
  }

  /** Chooses the next token of each. */
  @Override
  public void use(Matrix logits, int row, int rows) {
    for (Answer next : writing) {
      try {
        Tokens history = next.session.tokens;
        Event.Token token =
            next.sampler.sample(
                logits.data(), logits.rowOffset(row), logits.columns(), history, next.cursor);
        boolean endToken = endTokens.contains(token.id());
        if (!endToken || next.request.ignoreEnd()) {
          history.add(token.id());
        }
        next.accept(token, endToken, now);
        force(next);
      } catch (RuntimeException | Error e) {
        next.fail(e);
      }
    }
  }

  /** Takes what must follow without asking the model: it is read as a prompt is, in one step. */
  private void force(Answer next) {
    Cursor cursor = next.cursor;
    // What is not sampled has no likelihood to tell.
    if (cursor != null && !next.ended() && next.request.logProbabilities().isEmpty()) {
      for (int token : cursor.forced()) {
        if (next.ended() || next.session.tokens.size() >= next.session.capacity) {
          return;
        }
        next.session.tokens.add(token);
        next.accept(Event.Token.of(token), false, now);
      }
    }
  }

  /** Makes room for the tokens that follow, or ends what has none. */
  @Override
  public void finish() {
    for (Answer next : writing) {
      Session session = next.session;
      if (!next.ended() && session.tokens.size() >= session.capacity) {
        try {
          switch (next.request.overflow()) {
            case Overflow.Stop() -> next.finish(FinishReason.CONTEXT_FULL);
            case Overflow.Shift(int keep) -> session.shift(keep);
          }
        } catch (RuntimeException | Error e) {
          next.fail(e);
        }
      }
    }
  }

  @Override
  public void fail(Throwable problem) {
    answer.fail(problem);
    released().forEach(sibling -> sibling.fail(problem));
  }
}
