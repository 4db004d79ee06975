package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.Alternative.Kind;
import dev.knapsack.error.ConstraintException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The values of a schema: what is asked of each place, and which known values fit. */
final class SchemaValues {
  /** Places of values; a schema that has more is refused. */
  private static final int MOST = 5_000;

  /** Members in members that are looked into for what cannot be. */
  private static final int DEPTH = 4;

  /** Values that are listed one by one. */
  private static final int LISTED = 100;

  private final SchemaReader reader;
  private final Scratch scratch;
  private final Map<String, List<Alternative>> known = new HashMap<>();
  private final Set<String> beingRead = new HashSet<>();

  SchemaValues(SchemaDocument document, Scratch scratch) {
    this.scratch = scratch;
    this.reader = new SchemaReader(document, scratch, c -> isImpossible(c, DEPTH));
  }

  /** The alternatives of what is asked of a value. */
  List<Alternative> of(Conjunction asked) {
    String name = asked.name();
    List<Alternative> alternatives = known.get(name);
    if (alternatives == null) {
      if (known.size() > MOST) {
        throw new ConstraintException(
            "",
            "The schema says different things of more than %,d places; write it smaller."
                .formatted(MOST));
      }
      beingRead.add(name);
      alternatives = reader.alternatives(asked);
      beingRead.remove(name);
      known.put(name, alternatives);
    }
    return alternatives;
  }

  // Known values

  boolean has(Conjunction asked, JsonElement value) {
    // What is being read asks for this to tell alternatives apart: they may be alike so far.
    return beingRead.contains(asked.name())
        || of(asked).stream().anyMatch(alternative -> has(alternative, value));
  }

  boolean has(Alternative alternative, JsonElement value) {
    List<JsonElement> listed = alternative.listed();
    return (listed == null || listed.stream().anyMatch(one -> JsonValues.same(one, value)))
        && fits(alternative, value);
  }

  /** Says whether a value is as all is asked for but the list of values. */
  private boolean fits(Alternative alternative, JsonElement value) {
    return alternative.has(Kind.of(value))
        && switch (value) {
          case JsonObject object -> has(alternative.objects, object);
          case JsonArray array -> has(alternative.arrays, array);
          case JsonPrimitive text when text.isString() ->
              alternative.strings.has(text.getAsString(), scratch);
          case JsonPrimitive number when number.isNumber() ->
              alternative.numbers.equals(NumberSet.ALL)
                  || JsonValues.number(number).filter(alternative.numbers::has).isPresent();
          default -> true;
        };
  }

  private boolean has(ObjectSet objects, JsonObject object) {
    Conjunction names = Conjunction.of(objects.names());
    return object.keySet().containsAll(objects.required())
        && object.size() >= objects.least()
        && (objects.most() < 0 || object.size() <= objects.most())
        && object.entrySet().stream()
            .allMatch(member ->
                has(names, new JsonPrimitive(member.getKey()))
                    && has(objects.value(member.getKey(), scratch), member.getValue()));
  }

  private boolean has(ArraySet arrays, JsonArray array) {
    boolean fits =
        array.size() >= arrays.least() && (arrays.most() < 0 || array.size() <= arrays.most());
    for (int i = 0; i < array.size() && fits; i++) {
      JsonElement item = array.get(i);
      fits = has(arrays.item(i), item);
      for (int j = 0; j < i && arrays.distinct(); j++) {
        fits &= !JsonValues.same(array.get(j), item);
      }
    }
    for (ArraySet.Contained some : arrays.contained()) {
      Conjunction wanted = Conjunction.of(List.of(some.item()));
      long count = array.asList().stream().filter(item -> has(wanted, item)).count();
      fits &= count >= some.least() && (some.most() < 0 || count <= some.most());
    }
    return fits;
  }

  /** The values that are listed in an alternative and fit all of it. */
  Optional<List<JsonElement>> listed(Alternative alternative) {
    return Optional.ofNullable(alternative.listed())
        .map(all -> all.stream().filter(value -> fits(alternative, value)).toList());
  }

  /** All values, each once; empty where there are too many to list. */
  Optional<List<JsonElement>> list(Conjunction asked) {
    List<JsonElement> all = new ArrayList<>();
    for (Alternative alternative : of(asked)) {
      Optional<List<JsonElement>> some = list(alternative);
      if (some.isEmpty()) {
        return Optional.empty();
      }
      for (JsonElement value : some.get()) {
        if (all.stream().noneMatch(other -> JsonValues.same(other, value))) {
          all.add(value);
        }
      }
    }
    return Optional.of(all);
  }

  private Optional<List<JsonElement>> list(Alternative alternative) {
    if (alternative.listed() != null) {
      return listed(alternative);
    }
    List<JsonElement> all = new ArrayList<>();
    for (Kind kind : alternative.kinds()) {
      switch (kind) {
        case NULL -> all.add(JsonNull.INSTANCE);
        case TRUE -> all.add(new JsonPrimitive(true));
        case FALSE -> all.add(new JsonPrimitive(false));
        case NUMBER -> {
          Optional<List<BigDecimal>> numbers = alternative.numbers.list(LISTED);
          if (numbers.isEmpty()) {
            return Optional.empty();
          }
          numbers.get().forEach(number -> all.add(new JsonPrimitive(number)));
        }
        default -> {
          return Optional.empty();
        }
      }
    }
    return Optional.of(all);
  }

  // What cannot be

  /** Says that there is no value, where that is plain; where it would take long to find out, no. */
  private boolean isImpossible(Conjunction asked, int depth) {
    return depth > 0
        && !beingRead.contains(asked.name())
        && of(asked).stream().allMatch(alternative -> isImpossible(alternative, depth));
  }

  private boolean isImpossible(Alternative alternative, int depth) {
    Optional<List<JsonElement>> listed = listed(alternative);
    return listed.isPresent()
        ? listed.get().isEmpty()
        : alternative.kinds().stream()
            .allMatch(kind ->
                switch (kind) {
                  case NULL, TRUE, FALSE -> false;
                  case NUMBER -> alternative.numbers.isEmpty();
                  case STRING -> alternative.strings.isEmpty(scratch);
                  case ARRAY -> isImpossible(alternative.arrays, depth);
                  case OBJECT -> isImpossible(alternative.objects, depth);
                });
  }

  private boolean isImpossible(ArraySet arrays, int depth) {
    if (arrays.most() >= 0 && arrays.most() < arrays.least()) {
      return true;
    }
    for (int i = 0; i < Math.min(arrays.least(), arrays.alikeFrom() + 1); i++) {
      if (isImpossible(arrays.item(i), depth - 1)) {
        return true;
      }
    }
    return false;
  }

  private boolean isImpossible(ObjectSet objects, int depth) {
    Conjunction names = Conjunction.of(objects.names());
    return (objects.most() >= 0
            && Math.max(objects.least(), objects.required().size()) > objects.most())
        || objects.required().stream()
            .anyMatch(name ->
                !has(names, new JsonPrimitive(name))
                    || isImpossible(objects.value(name, scratch), depth - 1));
  }
}
