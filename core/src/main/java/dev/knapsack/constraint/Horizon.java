package dev.knapsack.constraint;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Cuts terms to what a token can tell of them: of two terms that differ only farther off than its
 * bytes reach, the tokens that may follow are the same. For one term at a time: those that it is
 * made of are cut once, in however many ways they follow.
 */
final class Horizon {
  private final Terms terms;
  private final int bytes;
  private final Map<Term, Term> known = new HashMap<>();

  /**
   * @param bytes of the longest token
   */
  Horizon(Terms terms, int bytes) {
    this.terms = terms;
    this.bytes = bytes;
  }

  /** A term of which the same tokens may follow, and the end; only where the given one is live. */
  Term of(Term term) {
    return switch (term.shape) {
      case Shape.Sequence _ -> sequence(term);
      case Shape.Choice(List<Term> options) -> {
        Term cut = known.get(term);
        if (cut == null) {
          cut = choice(term, options);
          known.put(term, cut);
        }
        yield cut;
      }
      case Shape.Repeat(Term item, int least, int most) -> repeat(term, item, least, most);
      default -> term;
    };
  }

  private Term choice(Term term, List<Term> options) {
    List<Term> cut = new ArrayList<>(options.size());
    boolean same = true;
    for (Term option : options) {
      Term of = of(option);
      same &= of == option;
      cut.add(of);
    }
    return same ? term : terms.choice(cut);
  }

  /** A sequence without the parts that cannot be reached. */
  private Term sequence(Term term) {
    List<Term> parts = new ArrayList<>();
    boolean same = true;
    Term left = term;
    int before = 0;
    while (before <= bytes && left.shape instanceof Shape.Sequence(Term first, Term rest)) {
      Term of = of(first);
      same &= of == first;
      parts.add(of);
      before += terms.shortest(first);
      left = rest;
    }
    if (before <= bytes) {
      Term of = of(left);
      same &= of == left;
      parts.add(of);
    } else {
      same = false;
    }
    return same ? term : terms.sequence(parts);
  }

  /** More times than there are bytes is any number of times. */
  private Term repeat(Term term, Term item, int least, int most) {
    if (least <= bytes + 1 && most <= bytes) {
      return term;
    }
    int more = item.nullable() ? 0 : Math.min(least, bytes + 1);
    return terms.repeat(item, more, most > bytes ? -1 : most);
  }
}
