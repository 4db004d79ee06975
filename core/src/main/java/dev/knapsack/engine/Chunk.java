package dev.knapsack.engine;

import dev.knapsack.cache.SequenceState;

/**
 * The tokens of one sequence that a step computes next.
 *
 * @param tokens how many become part of the sequence
 * @param ahead how many after them are only looked at; see {@link
 *     dev.knapsack.cache.StepObserver#lookahead}
 */
record Chunk(int tokens, int ahead) {
  /**
   * The next of a sequence.
   *
   * @param pending tokens that are yet to be computed, at least one
   * @param room rows that the step has left, at least one
   * @param most rows that a sequence may have in a step
   */
  static Chunk next(SequenceState state, int pending, int room, int most) {
    int rows = Math.min(room, most);
    int added = Math.max(1, rows - state.kv().view().lookahead(most));
    int tokens = Math.min(Math.min(pending, added), state.untilCheckpoint());
    return new Chunk(tokens, Math.min(state.kv().view().lookahead(most, tokens), rows - tokens));
  }

  /**
   * The next of a sequence of which no other may change what is computed: where it ends is told by
   * its positions alone.
   *
   * @param most rows in a step, of which there is always room for one such part
   * @return no tokens where there is not enough room in this step
   */
  static Chunk fixed(SequenceState state, int pending, int room, int most) {
    int part = Math.max(1, most - state.kv().view().lookahead(most));
    int tokens = Math.min(Math.min(pending, part - state.length() % part), state.untilCheckpoint());
    int ahead = Math.min(state.kv().view().lookahead(most, tokens), most - tokens);
    return tokens + ahead <= room ? new Chunk(tokens, ahead) : new Chunk(0, 0);
  }

  /** Rows of the step that it takes. */
  int rows() {
    return tokens + ahead;
  }
}
