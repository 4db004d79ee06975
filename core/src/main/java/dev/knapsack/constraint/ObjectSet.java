package dev.knapsack.constraint;

import dev.knapsack.constraint.Conjunction.Part;
import dev.knapsack.constraint.StringSet.Pattern;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Objects of so many members.
 *
 * @param forms what all of them hold the members to
 * @param required names that must be there
 * @param names what is asked of the names
 * @param most members at the most; less than 0 for any number
 */
record ObjectSet(List<Form> forms, Set<String> required, List<Part> names, int least, int most) {
  /**
   * The schemas of values of members: by their names, by expressions found in their names, and of
   * members for which neither says anything.
   */
  record Form(Map<String, Part> named, Map<Pattern, Part> matched, Optional<Part> others) {
    /** One member alone. */
    Form(String name, Part value) {
      this(Map.of(name, value), Map.of(), Optional.empty());
    }
  }

  static final ObjectSet ALL = new ObjectSet(List.of(), Set.of(), List.of(), 0, -1);

  ObjectSet {
    forms = List.copyOf(forms);
    names = List.copyOf(names);
  }

  ObjectSet with(Form form) {
    return new ObjectSet(added(forms, form), required, names, least, most);
  }

  ObjectSet requiring(String name) {
    Set<String> more = new TreeSet<>(required);
    more.add(name);
    return new ObjectSet(forms, more, names, least, most);
  }

  ObjectSet named(Part name) {
    return new ObjectSet(forms, required, added(names, name), least, most);
  }

  ObjectSet atLeast(int members) {
    return new ObjectSet(forms, required, names, Math.max(least, members), most);
  }

  ObjectSet atMost(int members) {
    int tighter = most < 0 || members < most ? members : most;
    return new ObjectSet(forms, required, names, least, tighter);
  }

  private static <T> List<T> added(List<T> list, T one) {
    return Stream.concat(list.stream(), Stream.of(one)).toList();
  }

  /** Names of which something is said, as they were written first. */
  List<String> known() {
    return Stream.concat(
            forms.stream().flatMap(form -> form.named().keySet().stream()), required.stream())
        .distinct()
        .toList();
  }

  /** Expressions of which something is said. */
  List<Pattern> patterns() {
    return forms.stream().flatMap(form -> form.matched().keySet().stream()).distinct().toList();
  }

  /** All that is asked of the value of a member. */
  Conjunction value(String name, Scratch scratch) {
    return value(Optional.of(name), pattern -> scratch.isFound(pattern, name));
  }

  /**
   * All that is asked of values of members that have no known name, by the expressions found in
   * theirs.
   */
  Conjunction value(Set<Pattern> found) {
    return value(Optional.empty(), found::contains);
  }

  private Conjunction value(Optional<String> name, Predicate<Pattern> found) {
    List<Part> parts = new ArrayList<>();
    for (Form form : forms) {
      List<Part> own = new ArrayList<>();
      name.map(form.named()::get).ifPresent(own::add);
      form.matched()
          .forEach((pattern, part) -> {
            if (found.test(pattern)) {
              own.add(part);
            }
          });
      if (own.isEmpty()) {
        form.others().ifPresent(own::add);
      }
      parts.addAll(own);
    }
    return Conjunction.of(parts);
  }
}
