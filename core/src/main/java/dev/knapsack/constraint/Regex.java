package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.util.function.Function;

/** A regular expression as a tree. */
record Regex(String pattern) {
  static Regex parse(String pattern) {
    return new Regex(pattern);
  }

  Term whole(Terms terms, Function<CodePoints, Term> character) {
    throw new ConstraintException("", "Regular expressions cannot be held to: " + pattern);
  }
}
