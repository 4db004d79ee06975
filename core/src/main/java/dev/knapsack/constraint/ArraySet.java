package dev.knapsack.constraint;

import dev.knapsack.constraint.Conjunction.Part;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Arrays of so many items.
 *
 * @param forms what all of them hold the items to
 * @param most items at the most; less than 0 for any number
 * @param distinct true if no two items are equal
 * @param contained what some of the items are
 */
record ArraySet(
    List<Items> forms, int least, int most, boolean distinct, List<Contained> contained) {
  /** The schemas of items: of the first ones each, and of all others. */
  record Items(List<Part> first, Optional<Part> others) {}

  /**
   * So many items that are something.
   *
   * @param most less than 0 for any number
   */
  record Contained(Part item, int least, int most) {}

  static final ArraySet ALL = new ArraySet(List.of(), 0, -1, false, List.of());

  ArraySet {
    forms = List.copyOf(forms);
    contained = List.copyOf(contained);
  }

  ArraySet with(Items form) {
    return new ArraySet(added(forms, form), least, most, distinct, contained);
  }

  ArraySet atLeast(int items) {
    return new ArraySet(forms, Math.max(least, items), most, distinct, contained);
  }

  ArraySet atMost(int items) {
    int tighter = most < 0 || items < most ? items : most;
    return new ArraySet(forms, least, tighter, distinct, contained);
  }

  ArraySet ofDistinct() {
    return new ArraySet(forms, least, most, true, contained);
  }

  ArraySet with(Contained some) {
    return new ArraySet(forms, least, most, distinct, added(contained, some));
  }

  private static <T> List<T> added(List<T> list, T one) {
    return Stream.concat(list.stream(), Stream.of(one)).toList();
  }

  /** Items from this on are all alike. */
  int alikeFrom() {
    return forms.stream().mapToInt(form -> form.first().size()).max().orElse(0);
  }

  /** All that is asked of an item. */
  Conjunction item(int at) {
    List<Part> parts = new ArrayList<>();
    for (Items form : forms) {
      if (at < form.first().size()) {
        parts.add(form.first().get(at));
      } else {
        form.others().ifPresent(parts::add);
      }
    }
    return Conjunction.of(parts);
  }

  /** All that is asked of an item that is one of those contained, or is not. */
  Conjunction item(int at, Contained some, boolean contained) {
    List<Part> parts = new ArrayList<>(item(at).parts());
    parts.add(contained ? some.item() : some.item().opposite());
    return Conjunction.of(parts);
  }
}
