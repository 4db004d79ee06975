package dev.knapsack.constraint;

import java.util.List;
import java.util.Optional;

/**
 * The members of an object in any order, each at most once, without what stands before and behind
 * all of them.
 *
 * @param named those with a name
 * @param other the text of a member with another name, of which there may be many; empty where
 *     there may be none. That it has none of the names is up to this text
 * @param least members at the least
 * @param most members at the most; less than 0 for any number
 * @param separator what stands between two
 */
record Members(List<Member> named, Optional<Term> other, int least, int most, Term separator) {
  /**
   * A member with a name.
   *
   * @param text all of it: its name, its value, and what stands between them
   */
  record Member(Term text, boolean required) {}

  Members {
    named = List.copyOf(named);
  }
}
