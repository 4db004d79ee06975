package dev.knapsack.constraint;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The terms that plain characters lead to, where it does not matter which: so it is within strings,
 * whatever follows them, and where none may come.
 *
 * @param terms behind none, one, two plain characters and so on; no more may come than there are,
 *     unless it is endless
 * @param endless whether the last term is that behind every further one, too
 */
record PlainRun(List<Term> terms, boolean endless) {
  private static final ByteSet QUOTE = ByteSet.of('"');

  /** Characters that a string of JSON has as they are. */
  static final CodePoints CHARACTERS =
      CodePoints.range(' ', Character.MAX_CODE_POINT).minus(CodePoints.of("\"\\"));

  /**
   * The run that begins at a live term.
   *
   * @param most characters that are of interest
   * @return null where it matters which characters come
   */
  static @Nullable PlainRun of(Language language, Term term, int most) {
    List<Term> terms = new ArrayList<>();
    Term last = term;
    while (last.live()) {
      terms.add(last);
      Term next = terms.size() > most ? language.terms.never() : next(language, last);
      if (next == null) {
        return null;
      }
      if (next == last) {
        return new PlainRun(terms, true);
      }
      last = next;
    }
    return new PlainRun(terms, false);
  }

  /** The most plain characters that may come, of those that are of interest. */
  int most() {
    return endless ? Integer.MAX_VALUE : terms.size() - 1;
  }

  /** The term behind so many plain characters, no more than {@link #most}. */
  Term after(int characters) {
    return terms.get(Math.min(characters, terms.size() - 1));
  }

  /**
   * A term that has the same tokens as long as they have no quote; null unless it is within a
   * string that a quote ends. All strings of one kind have the same, whatever follows them.
   */
  static @Nullable Term unquoted(Language language, Term term) {
    return term.shape instanceof Shape.Sequence(Term first, Term rest)
            && isCounted(language, term)
            && language.terms.firsts(rest).equals(QUOTE)
        ? language.terms.sequence(first, language.elsewhere)
        : null;
  }

  /** The term that every plain character leads to; null where they lead to several. */
  private static @Nullable Term next(Language language, Term term) {
    if (isWithoutPlain(language, term)) {
      return language.terms.never();
    }
    return isCounted(language, term) ? term.derive(' ') : loops(language, term) ? term : null;
  }

  private static boolean isWithoutPlain(Language language, Term term) {
    Terms terms = language.terms;
    return terms.firsts(term).and(terms.firsts(language.plain)).isEmpty();
  }

  /** Says whether plain characters are told apart by their count alone, as the term is written. */
  private static boolean isCounted(Language language, Term term) {
    Term first = term;
    Term rest = language.terms.empty();
    if (term.shape instanceof Shape.Sequence(Term begin, Term behind)) {
      first = begin;
      rest = behind;
    }
    return first.shape instanceof Shape.Repeat(Term item, _, _)
        && (!first.nullable() || isWithoutPlain(language, rest))
        && isPlain(language, item);
  }

  /** Says whether a term has all plain characters, and nothing may follow them. */
  private static boolean isPlain(Language language, Term item) {
    if (item.plain == Term.Answer.UNKNOWN) {
      boolean plain = item.derive(' ') == language.terms.empty();
      item.plain =
          answer(plain && leads(item, language.plain, language.terms.empty(), new HashSet<>()));
    }
    return item.plain == Term.Answer.YES;
  }

  /** Says whether each plain character leads from a term to itself. */
  static boolean loops(Language language, Term term) {
    if (term.loops == Term.Answer.UNKNOWN) {
      boolean loops = term.derive(' ') == term && term.live();
      term.loops = answer(loops && leads(term, language.plain, term, new HashSet<>()));
    }
    return term.loops == Term.Answer.YES;
  }

  private static Term.Answer answer(boolean yes) {
    return yes ? Term.Answer.YES : Term.Answer.NO;
  }

  private record Step(Term term, Term character) {}

  /** Says whether all that is left of characters leads to one term. */
  private static boolean leads(Term term, Term character, Term to, Set<Step> seen) {
    for (int b = 0; b < 256; b++) {
      Term left = character.derive(b);
      if (left.never()) {
        continue;
      }
      Term next = term.derive(b);
      boolean ends = left.nullable();
      if (ends
          ? next != to
          : next.never() || (seen.add(new Step(next, left)) && !leads(next, left, to, seen))) {
        return false;
      }
    }
    return true;
  }
}
