package dev.knapsack.constraint;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A simpler term that goes on as another one does: the names that are made up for members of an
 * object are all texts but a few.
 *
 * @param base has by each byte the same derivative, but by these
 * @param but the bytes
 */
record Near(Term base, ByteSet but) {
  /** Bytes that a term begins with, of which there are enough to make it worth while. */
  private static final int LARGE = 64;

  /** The term that is near another one; null where none is. */
  static @Nullable Near of(Terms terms, Term term) {
    return switch (term.shape) {
      case Shape.Choice(List<Term> options) -> ofChoice(terms, options);
      case Shape.Except(Term one, Term other) -> new Near(one, terms.firsts(other));
      case Shape.Sequence(Term first, Term rest) -> {
        Near near = terms.near(first);
        if (near == null) {
          yield null;
        }
        boolean same = near.base.nullable() == first.nullable();
        yield new Near(
            terms.sequence(near.base, rest), same ? near.but : near.but.or(terms.firsts(rest)));
      }
      case Shape.Reference _, Shape.Open _ -> terms.near(terms.expansion(term));
      default -> null;
    };
  }

  /** Of several the one that begins in the most ways; the others are the exceptions. */
  private static @Nullable Near ofChoice(Terms terms, List<Term> options) {
    Term most = options.getFirst();
    for (Term option : options) {
      most = terms.firsts(option).size() > terms.firsts(most).size() ? option : most;
    }
    if (terms.firsts(most).size() < LARGE) {
      return null;
    }
    ByteSet but = ByteSet.NONE;
    for (Term option : options) {
      but = option == most ? but : but.or(terms.firsts(option));
    }
    Near near = terms.near(most);
    return near == null ? new Near(most, but) : new Near(near.base, near.but.or(but));
  }
}
