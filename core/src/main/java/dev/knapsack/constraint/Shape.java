package dev.knapsack.constraint;

import java.util.BitSet;
import java.util.List;
import java.util.Set;

/** The form of a {@link Term}: what it is made of. */
sealed interface Shape {
  /** No text at all. */
  record Never() implements Shape {}

  /** The text without bytes. */
  record Empty() implements Shape {}

  /** One byte of a set that has some. */
  record Bytes(ByteSet set) implements Shape {}

  /**
   * Two bytes or more, one after the other: so a name is one part of a sequence, however long.
   *
   * @param bytes each as the character of its number
   */
  record Text(String bytes) implements Shape {}

  /**
   * One control token.
   *
   * @param complement true for any that is not one of the tokens
   */
  record Special(Set<Integer> tokens, boolean complement) implements Shape {}

  /** A term that is no sequence itself, and what follows it. */
  record Sequence(Term first, Term rest) implements Shape {}

  /** Two terms or more that are no choices themselves, by their ids. */
  record Choice(List<Term> options) implements Shape {}

  /** Texts of one term that are of another, too. */
  record Both(Term one, Term other) implements Shape {}

  /** Texts of one term that are not of another. */
  record Except(Term one, Term other) implements Shape {}

  /** A term so many times; less than 0 at the most for any number. */
  record Repeat(Term item, int least, int most) implements Shape {}

  /** A term that is defined by its name. */
  record Reference(String name) implements Shape {}

  /** The place in an object: nothing read yet, a member read, or the separator behind one. */
  enum Place {
    BEGIN,
    MEMBER,
    SEPARATOR
  }

  /**
   * A place in an object, and so all that may follow there.
   *
   * @param definition the number of its {@link Members}
   * @param seen the named members that were read
   * @param count members that were read, as far as that matters
   */
  record Open(int definition, BitSet seen, int count, Place place) implements Shape {}
}
