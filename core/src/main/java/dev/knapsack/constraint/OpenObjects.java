package dev.knapsack.constraint;

import dev.knapsack.constraint.Shape.Place;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/** Objects whose members come in any order: what may follow at a place in one of them. */
final class OpenObjects {
  private final Terms terms;
  private final List<Members> definitions = new ArrayList<>();

  OpenObjects(Terms terms) {
    this.terms = terms;
  }

  /** The place before all members. */
  Term begin(Members definition) {
    int number = definitions.indexOf(definition);
    if (number < 0) {
      number = definitions.size();
      definitions.add(definition);
    }
    return open(number, new BitSet(), 0, Place.BEGIN);
  }

  /** The members of which a place is one. */
  Members of(Shape.Open at) {
    return definitions.get(at.definition());
  }

  private Term open(int number, BitSet seen, int count, Place place) {
    Members object = definitions.get(number);
    int free = 0;
    int needed = 0;
    for (int i = 0; i < object.named().size(); i++) {
      Members.Member member = object.named().get(i);
      if (!seen.get(i)) {
        needed += member.required() ? 1 : 0;
        free += member.text().never() ? 0 : 1;
        if (member.required() && member.text().never()) {
          return terms.never();
        }
      }
    }
    int more = Math.max(Math.max(needed, object.least() - count), place == Place.SEPARATOR ? 1 : 0);
    boolean tooMany = object.most() >= 0 && count + more > object.most();
    boolean tooFew = more > free && object.other().filter(t -> !t.never()).isEmpty();
    // A count that no bound is compared with would tell states apart that are the same.
    int counted = object.most() >= 0 ? count : Math.min(count, object.least());
    return tooMany || tooFew
        ? terms.never()
        : terms.open(new Shape.Open(number, seen, counted, place));
  }

  /** Says whether an object may end at this place. */
  boolean complete(Shape.Open at) {
    Members object = of(at);
    for (int i = 0; i < object.named().size(); i++) {
      if (object.named().get(i).required() && !at.seen().get(i)) {
        return false;
      }
    }
    return at.count() >= object.least() && at.place() != Place.SEPARATOR;
  }

  /**
   * The texts that may follow at a place: the end, a separator, or a member that has not been read.
   */
  Term following(Shape.Open at) {
    Members object = of(at);
    if (at.place() == Place.MEMBER) {
      Term more =
          terms.sequence(
              object.separator(), open(at.definition(), at.seen(), at.count(), Place.SEPARATOR));
      return complete(at) ? terms.choice(terms.empty(), more) : more;
    }
    List<Term> options = new ArrayList<>();
    if (complete(at)) {
      options.add(terms.empty());
    }
    for (int i = 0; i < object.named().size(); i++) {
      if (!at.seen().get(i)) {
        BitSet seen = (BitSet) at.seen().clone();
        seen.set(i);
        options.add(
            terms.sequence(
                object.named().get(i).text(),
                open(at.definition(), seen, at.count() + 1, Place.MEMBER)));
      }
    }
    object
        .other()
        .ifPresent(other ->
            options.add(
                terms.sequence(
                    other, open(at.definition(), at.seen(), at.count() + 1, Place.MEMBER))));
    return terms.choice(options);
  }
}
