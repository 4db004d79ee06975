package dev.knapsack.constraint;

import dev.knapsack.constraint.Shape.Place;
import dev.knapsack.error.ConstraintException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Says of terms whether they have the empty text, and whether they have any.
 *
 * <p>Of names that stand for themselves through others the least answer is the right one: what is
 * asked for while it is being found out counts as no, and what was answered on that ground is not
 * remembered.
 */
final class Emptiness {
  /** States of an intersection that are looked through; what has more counts as having a text. */
  private static final int STATES = 20_000;

  /** More bytes than any token has. */
  private static final int FAR = 1 << 20;

  private final Terms terms;

  /** The number of answers so far that took something for no that was being found out. */
  private long assumed;

  Emptiness(Terms terms) {
    this.terms = terms;
  }

  /** Finds out about names: all that is asked later is answered from this. */
  void resolve(List<Term> names) {
    names.forEach(terms::expansion); // all are defined
    for (Term name : names) {
      name.nullable = nullable(name) ? Term.Answer.YES : Term.Answer.NO;
    }
    names.forEach(this::alike); // none begins with itself
    for (Term name : names) {
      name.live = live(name) ? Term.Answer.YES : Term.Answer.NO;
    }
  }

  // The empty text

  boolean nullable(Term term) {
    if (term.nullable == Term.Answer.UNKNOWN) {
      long before = assumed;
      boolean nullable = findNullable(term);
      if (nullable || before == assumed) {
        term.nullable = nullable ? Term.Answer.YES : Term.Answer.NO;
      }
      return nullable;
    }
    return term.nullable == Term.Answer.YES;
  }

  private boolean findNullable(Term term) {
    return switch (term.shape) {
      case Shape.Never(), Shape.Bytes(_), Shape.Text(_), Shape.Special(_, _) -> false;
      case Shape.Empty() -> true;
      case Shape.Sequence _ -> allOf(term, this::nullable);
      case Shape.Choice(List<Term> options) -> options.stream().anyMatch(this::nullable);
      case Shape.Both(Term one, Term other) -> nullable(one) && nullable(other);
      case Shape.Except(Term one, Term other) -> nullable(one) && !isExcluded(other);
      case Shape.Repeat(Term item, int least, _) -> least == 0 || nullable(item);
      case Shape.Reference _ -> named(term, this::nullable);
      case Shape.Open open -> terms.objects().complete(open);
    };
  }

  private boolean isExcluded(Term other) {
    long before = assumed;
    boolean nullable = nullable(other);
    if (assumed != before) {
      throw new ConstraintException("", "What is excluded refers to itself; define it otherwise.");
    }
    return nullable;
  }

  // The first byte

  /** The bytes with which texts begin; of intersections and differences more, perhaps. */
  ByteSet firsts(Term term) {
    ByteSet firsts = term.firsts;
    if (firsts == null) {
      firsts = findFirsts(term);
      term.firsts = firsts;
    }
    return firsts;
  }

  private ByteSet findFirsts(Term term) {
    return switch (term.shape) {
      case Shape.Never(), Shape.Empty(), Shape.Special(_, _) -> ByteSet.NONE;
      case Shape.Bytes(ByteSet set) -> set;
      case Shape.Text(String bytes) -> ByteSet.of(bytes.charAt(0));
      case Shape.Sequence _ -> {
        ByteSet all = ByteSet.NONE;
        Term left = term;
        while (left.shape instanceof Shape.Sequence(Term first, Term rest)) {
          all = all.or(firsts(first));
          if (!nullable(first)) {
            yield all;
          }
          left = rest;
        }
        yield all.or(firsts(left));
      }
      case Shape.Choice(List<Term> options) -> {
        ByteSet all = ByteSet.NONE;
        for (Term option : options) {
          all = all.or(firsts(option));
        }
        yield all;
      }
      case Shape.Both(Term one, Term other) -> firsts(one).and(firsts(other));
      case Shape.Except(Term one, _) -> firsts(one);
      case Shape.Repeat(Term item, _, _) -> firsts(item);
      case Shape.Reference _, Shape.Open _ -> firsts(terms.expansion(term));
    };
  }

  // Any text

  boolean live(Term term) {
    if (term.live == Term.Answer.UNKNOWN) {
      long before = assumed;
      boolean live = findLive(term);
      if (live || before == assumed) {
        term.live = live ? Term.Answer.YES : Term.Answer.NO;
      }
      return live;
    }
    return term.live == Term.Answer.YES;
  }

  private boolean findLive(Term term) {
    return switch (term.shape) {
      case Shape.Never() -> false;
      case Shape.Empty(), Shape.Bytes(_), Shape.Text(_), Shape.Special(_, _) -> true;
      case Shape.Sequence _ -> allOf(term, this::live);
      case Shape.Choice(List<Term> options) -> options.stream().anyMatch(this::live);
      case Shape.Both _, Shape.Except _ -> reachesAnEnd(term);
      case Shape.Repeat(Term item, int least, _) -> least == 0 || nullable(item) || live(item);
      case Shape.Reference _ -> named(term, this::live);
      case Shape.Open open -> hasEnd(open);
    };
  }

  private boolean hasEnd(Shape.Open at) {
    Members object = terms.objects().of(at);
    int required = 0;
    int optional = 0;
    for (int i = 0; i < object.named().size(); i++) {
      Members.Member member = object.named().get(i);
      if (!at.seen().get(i)) {
        boolean live = live(member.text());
        if (member.required() && !live) {
          return false;
        }
        required += member.required() ? 1 : 0;
        optional += !member.required() && live ? 1 : 0;
      }
    }
    int more =
        Math.max(
            Math.max(required, object.least() - at.count()), at.place() == Place.SEPARATOR ? 1 : 0);
    boolean enough = more <= required + optional || object.other().filter(this::live).isPresent();
    boolean separated = more < (at.place() == Place.MEMBER ? 1 : 2) || live(object.separator());
    return enough && separated && (object.most() < 0 || at.count() + more <= object.most());
  }

  /** Goes through the derivatives of a term, the shortest texts first. */
  private boolean reachesAnEnd(Term term) {
    Map<Term, Boolean> seen = new HashMap<>();
    ArrayDeque<Term> queue = new ArrayDeque<>();
    seen.put(term, true);
    queue.add(term);
    while (!queue.isEmpty()) {
      Term state = queue.remove();
      if (nullable(state) || state.live == Term.Answer.YES || seen.size() > STATES) {
        return true;
      }
      if (state.live == Term.Answer.NO) {
        continue;
      }
      for (ByteSet alike : alike(state)) {
        Term next = terms.derive(state, alike.first());
        if (!next.never() && seen.put(next, true) == null) {
          queue.add(next);
        }
      }
    }
    seen.keySet().forEach(dead -> dead.live = Term.Answer.NO);
    return false;
  }

  /** Sets of bytes by which a term has the same derivative; without those by which it has none. */
  Collection<ByteSet> alike(Term term) {
    List<ByteSet> parts = new ArrayList<>();
    split(term, parts);
    return parts;
  }

  private void split(Term term, List<ByteSet> parts) {
    switch (term.shape) {
      case Shape.Never(), Shape.Empty(), Shape.Special(_, _) -> {}
      case Shape.Bytes(ByteSet set) -> split(set, parts);
      case Shape.Text(String bytes) -> split(ByteSet.of(bytes.charAt(0)), parts);
      case Shape.Sequence _ -> {
        Term left = term;
        while (left.shape instanceof Shape.Sequence(Term first, Term rest)) {
          split(first, parts);
          if (!nullable(first)) {
            return;
          }
          left = rest;
        }
        split(left, parts);
      }
      case Shape.Choice(List<Term> options) -> options.forEach(o -> split(o, parts));
      case Shape.Both(Term one, Term other) -> {
        split(one, parts);
        split(other, parts);
      }
      case Shape.Except(Term one, Term other) -> {
        split(one, parts);
        split(other, parts);
      }
      case Shape.Repeat(Term item, _, _) -> split(item, parts);
      case Shape.Open _ -> split(terms.expansion(term), parts);
      case Shape.Reference(String name) -> {
        if (term.entered) {
          throw new ConstraintException(
              name,
              "begins with itself; write what it begins with first, or use a repetition in place"
                  + " of the recursion.");
        }
        term.entered = true;
        split(terms.expansion(term), parts);
        term.entered = false;
      }
    }
  }

  private static void split(ByteSet set, List<ByteSet> parts) {
    ByteSet left = set;
    List<ByteSet> cut = new ArrayList<>();
    for (ByteSet part : parts) {
      ByteSet inside = part.and(set);
      ByteSet outside = part.and(set.complement());
      if (!inside.isEmpty()) {
        cut.add(inside);
      }
      if (!outside.isEmpty()) {
        cut.add(outside);
      }
      left = left.and(part.complement());
    }
    if (!left.isEmpty()) {
      cut.add(left);
    }
    parts.clear();
    parts.addAll(cut);
  }

  /** The control tokens with which a text may begin, as sets. */
  List<Shape.Special> specials(Term term) {
    List<Shape.Special> found = new ArrayList<>();
    specials(term, found);
    return found;
  }

  private void specials(Term term, List<Shape.Special> found) {
    switch (term.shape) {
      case Shape.Special special -> found.add(special);
      case Shape.Sequence _ -> {
        Term left = term;
        while (left.shape instanceof Shape.Sequence(Term first, Term rest)) {
          specials(first, found);
          if (!nullable(first)) {
            return;
          }
          left = rest;
        }
        specials(left, found);
      }
      case Shape.Choice(List<Term> options) -> options.forEach(o -> specials(o, found));
      case Shape.Repeat(Term item, _, _) -> specials(item, found);
      case Shape.Reference _, Shape.Open _ -> specials(terms.expansion(term), found);
      case Shape.Never(),
          Shape.Empty(),
          Shape.Bytes(_),
          Shape.Text(_),
          Shape.Both(_, _),
          Shape.Except(_, _) -> {}
    }
  }

  // Length

  /** Bytes that a text has at the least, or fewer. */
  int shortest(Term term) {
    if (term.shortest < 0) {
      term.shortest = Math.min(FAR, findShortest(term));
    }
    return term.shortest;
  }

  private int findShortest(Term term) {
    return switch (term.shape) {
      case Shape.Never(), Shape.Special(_, _) -> FAR;
      case Shape.Empty() -> 0;
      case Shape.Bytes(_) -> 1;
      case Shape.Text(String bytes) -> bytes.length();
      case Shape.Sequence _ -> {
        int sum = 0;
        Term left = term;
        while (sum < FAR && left.shape instanceof Shape.Sequence(Term first, Term rest)) {
          sum += shortest(first);
          left = rest;
        }
        yield sum + shortest(left);
      }
      case Shape.Choice(List<Term> options) ->
          options.stream().mapToInt(this::shortest).min().orElse(FAR);
      case Shape.Both(Term one, Term other) -> Math.max(shortest(one), shortest(other));
      case Shape.Except(Term one, _) -> shortest(one);
      case Shape.Repeat(Term item, int least, _) ->
          (int) Math.min(FAR, (long) least * shortest(item));
      // A name may stand for itself: that it has a text of one byte is enough to know.
      case Shape.Reference _, Shape.Open _ -> nullable(term) ? 0 : 1;
    };
  }

  // All

  /** A question that is answered for a sequence by all of its parts. */
  private interface Question {
    boolean of(Term term);
  }

  private static boolean allOf(Term sequence, Question question) {
    Term left = sequence;
    while (left.shape instanceof Shape.Sequence(Term first, Term rest)) {
      if (!question.of(first)) {
        return false;
      }
      left = rest;
    }
    return question.of(left);
  }

  private boolean named(Term name, Question question) {
    if (name.entered) {
      assumed++;
      return false;
    }
    name.entered = true;
    try {
      return question.of(terms.expansion(name));
    } finally {
      name.entered = false;
    }
  }
}
