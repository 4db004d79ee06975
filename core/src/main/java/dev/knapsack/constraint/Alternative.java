package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.SchemaDocument.Node;
import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Values of some kinds, of each of which something is asked; a schema is one or several of these.
 * Changes while a schema is read.
 */
final class Alternative {
  /** The kinds of JSON values; true and false are each their own. */
  enum Kind {
    NULL,
    TRUE,
    FALSE,
    NUMBER,
    STRING,
    ARRAY,
    OBJECT;

    static Kind of(JsonElement value) {
      return switch (value) {
        case JsonObject _ -> OBJECT;
        case JsonArray _ -> ARRAY;
        case JsonPrimitive p when p.isString() -> STRING;
        case JsonPrimitive p when p.isBoolean() -> p.getAsBoolean() ? TRUE : FALSE;
        case JsonPrimitive _ -> NUMBER;
        default -> NULL;
      };
    }
  }

  private final EnumSet<Kind> kinds;

  /** Says of a value that is known whether it is as it should be, where no automaton could. */
  private record Undecided(
      Kind kind,
      Predicate<JsonElement> wanted,
      Predicate<Alternative> impossible,
      ConstraintException problem) {}

  private final List<Undecided> undecided;

  /** The schema that used a keyword first. */
  private final Map<String, Node> places;

  /** If not null, the values are of these. */
  private @Nullable List<JsonElement> listed;

  NumberSet numbers = NumberSet.ALL;
  StringSet strings = StringSet.ALL;
  ArraySet arrays = ArraySet.ALL;
  ObjectSet objects = ObjectSet.ALL;

  Alternative() {
    kinds = EnumSet.allOf(Kind.class);
    undecided = new ArrayList<>();
    places = new HashMap<>();
  }

  private Alternative(Alternative other) {
    kinds = EnumSet.copyOf(other.kinds);
    undecided = new ArrayList<>(other.undecided);
    places = new HashMap<>(other.places);
    listed = other.listed;
    numbers = other.numbers;
    strings = other.strings;
    arrays = other.arrays;
    objects = other.objects;
  }

  Alternative copy() {
    return new Alternative(this);
  }

  void only(Collection<Kind> some) {
    kinds.retainAll(some);
  }

  void without(Kind kind) {
    kinds.remove(kind);
  }

  /**
   * Asks of values of a kind what can be decided of known ones alone.
   *
   * @param impossible says of all that was read whether it leaves no value of the kind
   * @param problem thrown if values of the kind are left, and not listed, when all has been read
   */
  void undecided(
      Kind kind,
      Predicate<JsonElement> wanted,
      Predicate<Alternative> impossible,
      ConstraintException problem) {
    undecided.add(new Undecided(kind, wanted, impossible, problem));
  }

  /** Remembers where a keyword stood, for {@link #refuse}. */
  void uses(String keyword, Node schema) {
    places.putIfAbsent(keyword, schema);
  }

  /** A keyword that was read cannot be honoured. */
  ConstraintException refuse(String keyword, String problem) {
    Node place = places.get(keyword);
    return place == null
        ? new ConstraintException("", "'%s' %s".formatted(keyword, problem))
        : place.refuse(keyword, problem);
  }

  void only(List<JsonElement> values) {
    listed =
        listed == null
            ? values
            : listed.stream()
                .filter(one -> values.stream().anyMatch(other -> JsonValues.same(one, other)))
                .toList();
  }

  Set<Kind> kinds() {
    return kinds;
  }

  boolean has(Kind kind) {
    return kinds.contains(kind);
  }

  @Nullable List<JsonElement> listed() {
    return listed;
  }

  /** Ends the reading. */
  void settle(Scratch scratch) {
    for (Undecided each : undecided) {
      if (listed != null) {
        listed =
            listed.stream()
                .filter(value -> Kind.of(value) != each.kind || each.wanted.test(value))
                .toList();
      } else if (kinds.contains(each.kind)) {
        if (!each.impossible.test(this)) {
          throw each.problem;
        }
        kinds.remove(each.kind);
      }
    }
    strings = strings.settled(scratch);
    if (listed == null && kinds.contains(Kind.NUMBER) && !NumberText.isWritable(numbers)) {
      throw refuse(
          "multipleOf", "is a step too large to be counted; give bounds with fewer multiples.");
    }
  }
}
