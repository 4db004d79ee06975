package dev.knapsack.cache;

import java.util.BitSet;

/**
 * The text of one sequence, as far as policies go by it: its length, its prompt, the step under
 * way, and the ends of its sentences.
 */
public final class SequenceText {
  private final KvPool pool;
  private int length;
  private int promptEnd;
  private int stepEnd;

  /** Tokens of the rows that are only looked at; none if they repeat the text. */
  private int[] patch = {};

  /** Positions of tokens that end a sentence, where the policy wants to know. */
  private final BitSet sentenceEnds = new BitSet();

  SequenceText(KvPool pool) {
    this.pool = pool;
  }

  /** The same text, which goes on on its own. */
  SequenceText fork() {
    SequenceText fork = new SequenceText(pool);
    fork.length = length;
    fork.promptEnd = promptEnd;
    fork.patch = patch;
    fork.sentenceEnds.or(sentenceEnds);
    return fork;
  }

  /** Tokens of the sequence so far: the position of the next one. */
  public int length() {
    return length;
  }

  /** Says how many tokens there are now. */
  void length(int tokens) {
    length = tokens;
  }

  /**
   * Says that tokens up to {@code end} are a prompt, and what comes after them an answer: for
   * policies that tell the two apart. Said before the prompt's first step.
   */
  public void prompt(int end) {
    promptEnd = end;
  }

  /** The end of the prompt that is being read, or was read last; 0 unless that was said. */
  public int promptEnd() {
    return promptEnd;
  }

  /**
   * Says which tokens the rows are that are only looked at: the last ones of a text that queries to
   * come will be like. Unless that is said, they repeat the last tokens that have been read.
   */
  public void patch(int[] tokens) {
    patch = tokens.clone();
  }

  /** Those tokens; none if that was not said. */
  public int[] patch() {
    return patch.clone();
  }

  /** As many of the rows that are wanted after a step as there are tokens for. */
  int ahead(int wanted) {
    return patch.length == 0 ? wanted : Math.min(wanted, patch.length);
  }

  /**
   * The end of the tokens that the step under way adds, as {@link #read} was told: rows from there
   * on are only looked at.
   */
  public int stepEnd() {
    return stepEnd;
  }

  /**
   * Says which tokens follow {@link #length()}: those that a step adds, before it computes them.
   *
   * @param tokens ids, of which those in {@code [from, to)} count
   */
  public void read(int[] tokens, int from, int to) {
    stepEnd = length + to - from;
    BitSet ending = pool.sentenceEnds();
    for (int i = from; ending != null && i < to; i++) {
      sentenceEnds.set(length + i - from, ending.get(tokens[i]));
    }
  }

  /**
   * The first position from {@code position} on whose token ends a sentence; {@link
   * Integer#MAX_VALUE} if there is none yet, or nobody said what ends one.
   */
  public int sentenceEnd(int position) {
    int end = sentenceEnds.nextSetBit(position);
    return end < 0 || end >= length ? Integer.MAX_VALUE : end;
  }
}
