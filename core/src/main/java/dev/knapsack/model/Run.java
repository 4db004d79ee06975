package dev.knapsack.model;

import dev.knapsack.cache.SequenceState;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of one sequence that a step computes, in the order in which they follow what it remembers.
 *
 * @param sequence what the tokens follow, which is {@link #start} tokens long; null for a text that
 *     is computed whole, follows nothing and is not remembered
 * @param tokens the ids, of which those from {@code from} (inclusive) to {@code to} (exclusive)
 *     count
 * @param logits how many tokens, at the end, the logits are wanted of: 0 for none, 1 to choose the
 *     next token
 * @param ahead how many tokens, after those, are only looked at: see {@link
 *     dev.knapsack.cache.StepObserver#lookahead}; the sequence does not keep them
 * @param kind of a step's runs, those that do not depend on others come first, as {@link Kind} has
 *     them
 * @param adapter what its tokens are computed with beside the model, as all are that the state
 *     remembers; null for the model alone
 */
public record Run(
    @Nullable SequenceState sequence,
    int[] tokens,
    int from,
    int to,
    int logits,
    int ahead,
    Kind kind,
    @Nullable Adapter adapter) {
  /** Says whether what is computed may depend, in rounding, on the other runs of the step. */
  public enum Kind {
    /** It does not: one token, as if it were alone. */
    WRITTEN,
    /** It does not: tokens of a prompt, as several are. */
    PROMPT,
    /** It does not: a text, whose rows are all computed as several are. */
    TEXT,
    /** It may: as is fastest. */
    SHARED
  }

  public Run {
    Objects.checkFromToIndex(from, to, tokens.length);
    int added = to - from - ahead;
    if (kind == Kind.WRITTEN && to - from != 1) {
      throw new IllegalArgumentException("One token is written at a time, not " + (to - from));
    }
    if (ahead < 0 || added < 1 || logits < 0 || logits > added) {
      throw new IllegalArgumentException(
          "A run of %d tokens cannot give the logits of %d".formatted(added, logits));
    }
  }

  public Run(SequenceState state, int[] tokens, int from, int to, int logits) {
    this(state, tokens, from, to, logits, 0, Kind.SHARED, null);
  }

  public Run withKind(Kind value) {
    return new Run(sequence, tokens, from, to, logits, ahead, value, adapter);
  }

  /** The same, computed with an adapter. */
  public Run withAdapter(@Nullable Adapter value) {
    return new Run(sequence, tokens, from, to, logits, ahead, kind, value);
  }

  /**
   * Tokens of a text, and after them {@code ahead} to be looked at: the last of the sequence's
   * {@linkplain dev.knapsack.cache.SequenceText#patch() patch}, or of the text itself where there
   * is none.
   *
   * @param text with all of the tokens before {@code to}
   */
  public static Run ahead(
      SequenceState state, int[] text, int from, int to, int logits, int ahead) {
    if (ahead == 0) {
      return new Run(state, text, from, to, logits);
    }
    int[] tokens = Arrays.copyOfRange(text, from, to + ahead);
    int[] patch = state.kv().text().patch();
    int[] looked = patch.length == 0 ? text : patch;
    int end = patch.length == 0 ? to : patch.length;
    for (int i = 0; i < ahead; i++) {
      tokens[to - from + i] = looked[Math.floorMod(end - ahead + i, end)];
    }
    return new Run(state, tokens, 0, tokens.length, logits, ahead, Kind.SHARED, null);
  }

  /**
   * A text by itself, computed whole and not remembered.
   *
   * @param rows how many rows, at the end, are wanted of it
   */
  public static Run text(int[] tokens, int rows) {
    return new Run(null, tokens, 0, tokens.length, rows, 0, Kind.TEXT, null);
  }

  /** All of these tokens, and the logits of the last. */
  public static Run last(SequenceState state, int... tokens) {
    return new Run(state, tokens, 0, tokens.length, 1);
  }

  /** All of these tokens, and the logits of each. */
  public static Run all(SequenceState state, int... tokens) {
    return new Run(state, tokens, 0, tokens.length, tokens.length);
  }

  /** The sequence that it is a part of. */
  public SequenceState state() {
    return Objects.requireNonNull(sequence, "a text by itself has no state");
  }

  /** The position of its first token. */
  public int start() {
    return sequence == null ? 0 : sequence.length();
  }

  /** Tokens that the step computes. */
  public int length() {
    return to - from;
  }

  /** Tokens that it adds to the sequence. */
  public int added() {
    return length() - ahead;
  }
}
