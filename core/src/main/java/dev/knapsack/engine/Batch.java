package dev.knapsack.engine;

import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The tokens that a step computes, and for what: either the next token of every answer that is
 * being written and parts of prompts in the room that is left, or a part of one text.
 *
 * @param work what it computes for
 * @param runs what it computes for each of them
 */
record Batch<W extends Batch.Work>(List<W> work, List<Run> runs) {
  /** Bytes of prefixes that are read before a step: what takes no longer than a short one. */
  private static final long MOST_READ = 16L << 20;

  /**
   * Something that a step computes tokens for. What its methods throw is given to its own {@link
   * #fail}, and the others go on.
   */
  interface Work {
    /**
     * Takes what was computed into its sequence.
     *
     * @param begin when the step began, in nanoseconds
     * @param end when it had been computed
     */
    void settle(Run run, long begin, long end);

    /**
     * Uses the logits that it wanted, if any: on any thread, beside others that use theirs.
     *
     * @param row where the run's rows begin
     * @param rows how many there are
     */
    void use(Matrix logits, int row, int rows);

    /** Does what follows from the use and concerns more than this work alone. */
    void finish();

    /** Is told what went wrong with it; nothing else is called in this step. */
    void fail(Throwable problem);
  }

  /** Work for an answer. */
  interface AnswerWork extends Work {
    Answer answer();
  }

  /** Computes runs: a row of logits for each token that one is wanted of, run after run. */
  interface Forward {
    Matrix forward(List<Run> runs);
  }

  private interface Part {
    void run(int index);
  }

  /**
   * The next step for those of {@code live} that are wanted, first come first served: the next
   * tokens of answers before parts of prompts, and what may not depend on others before the rest.
   *
   * @param live answers that have a sequence and have not ended
   * @param all whether all of them are wanted: others wait for their sequences
   * @param beside rows of prompts beside answers that are being written
   * @param endTokens tokens that end an answer
   */
  static Batch<Settlement> next(
      List<Answer> live, boolean all, Scheduler.Limits limits, int beside, Set<Integer> endTokens) {
    List<Answer> wanted = new ArrayList<>();
    long read = MOST_READ;
    for (Answer answer : live) {
      if (all ? answer.leader == null : answer.wanted()) {
        if (answer.session.pending() > 1) {
          answer.skipped(answer.session.advance(read));
        }
        if (answer.session.isReading()) {
          read = 0; // one at a time: who begins with the same finds it then
        } else {
          wanted.add(answer);
        }
      }
    }
    Map<Answer, Run> runs = new LinkedHashMap<>();
    int room = limits.tokens();
    for (boolean writing : new boolean[] {true, false}) {
      for (Answer answer : wanted) {
        Session session = answer.session;
        if ((session.pending() == 1) == writing && room > 0) {
          Chunk chunk =
              switch (session.kind()) {
                case PROMPT ->
                    Chunk.fixed(session.state(), session.pending(), room, limits.fixedChunk());
                case SHARED, TEXT ->
                    Chunk.next(session.state(), session.pending(), room, limits.chunk());
                // As if each had been chosen: what is computed may not depend on how many must
                // come.
                case WRITTEN -> Chunk.next(session.state(), 1, room, limits.chunk());
              };
          if (chunk.tokens() > 0) {
            runs.put(answer, session.run(chunk));
            room -= chunk.rows();
          }
        }
      }
      if (writing && !runs.isEmpty()) {
        room = Math.min(room, Math.max(beside, limits.fixedChunk()));
      }
    }
    List<Map.Entry<Answer, Run>> ordered = new ArrayList<>(runs.entrySet());
    ordered.sort(Comparator.comparing(e -> e.getValue().kind()));
    return new Batch<>(
        ordered.stream().map(e -> new Settlement(e.getKey(), endTokens)).toList(),
        ordered.stream().map(Map.Entry::getValue).toList());
  }

  /** Rows that it computes. */
  int rows() {
    return runs.stream().mapToInt(r -> r.to() - r.from()).sum();
  }

  /** Of these, those of runs that are more than a token of an answer. */
  int promptRows() {
    return runs.stream().mapToInt(r -> r.to() - r.from()).filter(rows -> rows > 1).sum();
  }

  /**
   * Computes the runs, and has each work take what is its own.
   *
   * @param team the threads that logits are used on
   * @return seconds that computing took
   */
  double compute(Forward forward, WorkerTeam team, LongSupplier clock) {
    long begin = clock.getAsLong();
    Matrix logits;
    try {
      logits = forward.forward(runs);
    } catch (RuntimeException | Error e) {
      work.forEach(w -> w.fail(e));
      return 0;
    }
    long end = clock.getAsLong();
    int[] row = new int[runs.size()];
    for (int i = 1; i < row.length; i++) {
      row[i] = row[i - 1] + runs.get(i - 1).logits();
    }
    @Nullable Throwable[] problems = new Throwable[runs.size()];
    for (int i = 0; i < row.length; i++) {
      each(problems, i, at -> work.get(at).settle(runs.get(at), begin, end));
    }
    team.run(
        row.length,
        (i, _, _) ->
            each(problems, i, at -> work.get(at).use(logits, row[at], runs.get(at).logits())));
    for (int i = 0; i < row.length; i++) {
      each(problems, i, at -> work.get(at).finish());
      if (problems[i] != null) {
        work.get(i).fail(problems[i]);
      }
    }
    return (end - begin) / 1e9;
  }

  private static void each(@Nullable Throwable[] problems, int index, Part part) {
    if (problems[index] == null) {
      try {
        part.run(index);
      } catch (RuntimeException | Error e) {
        problems[index] = e;
      }
    }
  }
}
