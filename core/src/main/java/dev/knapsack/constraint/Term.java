package dev.knapsack.constraint;

import org.jspecify.annotations.Nullable;

/**
 * A set of texts in UTF-8, and the state in which a text of it is when part of it has been read:
 * what may follow is a term again, its derivative by what was read.
 *
 * <p>Equal terms of one {@link Terms} are one object, and remember their derivatives. The method is
 * that of Brzozowski, <em>Derivatives of Regular Expressions</em> (1964), with choices as sets
 * (definition 5.2), which keeps the states of a regular language few.
 */
final class Term {
  /** The symbol of control token 0; before it come the bytes. */
  static final int SPECIAL = 256;

  /** Knowledge of a term, which is found out once. */
  enum Answer {
    UNKNOWN,
    NO,
    YES
  }

  final Shape shape;
  final int id;
  private final Terms terms;

  /** Derivatives by byte; null until there is one. */
  @Nullable Derivatives derivatives;

  /** The term that a name or the place in an object stands for. */
  @Nullable Term expansion;

  /** True while something is being found out about what the name stands for. */
  boolean entered;

  Answer nullable = Answer.UNKNOWN;
  Answer live = Answer.UNKNOWN;

  /** See {@link Terms#near}; known when it was asked for. */
  @Nullable Near near;

  boolean nearKnown;

  /** Knowledge of whether each plain character leads back to it; see {@link PlainRun}. */
  Answer loops = Answer.UNKNOWN;

  /** Knowledge of whether it has each plain character, and nothing behind one. */
  Answer plain = Answer.UNKNOWN;

  /** See {@link Terms#firsts}; null until it is asked for. */
  @Nullable ByteSet firsts;

  /** See {@link Terms#shortest}; -1 until it is asked for. */
  int shortest = -1;

  Term(Terms terms, Shape shape, int id) {
    this.terms = terms;
    this.shape = shape;
    this.id = id;
  }

  /**
   * The texts that may follow a symbol.
   *
   * @param symbol a byte, 0 to 255, or {@link #SPECIAL} and the id of a control token
   */
  Term derive(int symbol) {
    return terms.derive(this, symbol);
  }

  /** Says whether a text may end here. */
  boolean nullable() {
    return terms.nullable(this);
  }

  /** Says whether it is plain that it has no text: nothing may follow, not even the end. */
  boolean never() {
    return shape instanceof Shape.Never;
  }

  /** Says whether it has a text. */
  boolean live() {
    return terms.live(this);
  }

  @Override
  public String toString() {
    return shape.toString();
  }
}
