package dev.knapsack.engine;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.SpillException;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * What one step computes: a token for each answer that is being written, and parts of prompts in
 * the room that is left; and what becomes of the answers when it is done.
 *
 * <p>Guarded by the scheduler's lock; only the runs are used without it, while the step computes.
 */
final class Batch {
  private final List<Answer> answers = new ArrayList<>();
  private final List<Run> runs = new ArrayList<>();

  /**
   * The next step for those of {@code live} that are wanted, first come first served.
   *
   * @param live answers that have a sequence and have not ended
   * @param all whether all of them are wanted: others wait for their sequences
   */
  Batch(List<Answer> live, boolean all, Scheduler.Limits limits) {
    int room = limits.tokens();
    for (boolean writing : new boolean[] {true, false}) {
      for (Answer answer : live) {
        boolean wanted = answer.leader == null && (all || answer.wanted());
        if (wanted && answer.session.pending() > 1) {
          answer.cachedTokens += answer.session.advance();
        }
        int pending = wanted ? answer.session.pending() : 0;
        if (pending == 0 || (pending == 1) != writing || room == 0) {
          continue;
        }
        int most = Math.min(room, limits.chunk());
        KvCache cache = answer.session.cache();
        int n = Math.min(pending, Math.max(1, most - cache.lookahead(limits.chunk())));
        int ahead = Math.min(cache.lookahead(limits.chunk(), n), most - n);
        runs.add(answer.session.run(n, ahead));
        answers.add(answer);
        answer.inStep = true;
        room -= n + ahead;
      }
    }
  }

  /** The answers that the step computes for. */
  List<Answer> answers() {
    return answers;
  }

  /** What it computes for each of them. */
  List<Run> runs() {
    return runs;
  }

  /**
   * Chooses tokens from the step's logits; that may end answers.
   *
   * @param endTokens tokens that end an answer
   * @param begin when the step began, in nanoseconds
   * @param end when it ended
   */
  void done(Matrix logits, Set<Integer> endTokens, long begin, long end) {
    int row = 0;
    for (int i = 0; i < answers.size(); i++) {
      Answer answer = answers.get(i);
      answer.inStep = false;
      answer.stepBegins(begin);
      try {
        answer.session.settle();
      } catch (SpillException e) {
        row += runs.get(i).logits();
        fail(answer, e); // the others go on
        continue;
      }
      answer.decoded(end - begin);
      if (runs.get(i).logits() > 0) {
        choose(answer, logits, row++, endTokens, end);
      }
    }
  }

  /** Ends the answers that the step was for, and those that waited for their prompts. */
  void failed(Throwable problem) {
    for (Answer answer : answers) {
      answer.inStep = false;
      fail(answer, problem);
    }
  }

  private static void fail(Answer answer, Throwable problem) {
    List<Answer> waiting = answer.siblings;
    answer.siblings = List.of();
    if (!answer.ended()) {
      answer.fail(problem);
    }
    for (Answer sibling : waiting) {
      sibling.leader = null;
      sibling.fail(problem);
    }
  }

  /** Chooses the next token of an answer, and the first one of those that waited for its prompt. */
  private static void choose(
      Answer answer, Matrix logits, int row, Set<Integer> endTokens, long now) {
    long offset = logits.rowOffset(row);
    List<Answer> waiting = answer.siblings;
    if (waiting.isEmpty()) {
      next(answer, logits.data(), offset, endTokens, now);
      return;
    }
    // Each is to see the logits as they are, before another's penalties.
    float[] original = new float[logits.columns()];
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, offset, original, 0, original.length);
    for (Answer sibling : waiting) {
      sibling.session.become(answer.session);
      sibling.leader = null;
    }
    answer.siblings = List.of();
    next(answer, logits.data(), offset, endTokens, now);
    for (Answer sibling : waiting) {
      sibling.stepBegins(now);
      MemorySegment.copy(
          original, 0, logits.data(), ValueLayout.JAVA_FLOAT, offset, original.length);
      next(sibling, logits.data(), offset, endTokens, now);
    }
  }

  private static void next(
      Answer answer, MemorySegment logits, long offset, Set<Integer> endTokens, long now) {
    if (answer.ended()) {
      return; // cancelled while the step ran
    }
    Session session = answer.session;
    int token;
    try {
      token = answer.sampler.sample(logits, offset, session.tokens);
    } catch (LogitsException e) {
      answer.fail(e);
      return;
    }
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
  }
}
