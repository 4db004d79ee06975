package dev.knapsack.constraint;

import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.Alternative.Kind;
import dev.knapsack.constraint.StringSet.Pattern;
import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The texts of values of a schema, as one term with names for what recurs. */
final class SchemaText {
  private static final int DEEPEST = 200;
  private static final int MOST_PATTERNS = 5;

  private final String prefix;
  private final Terms terms;
  private final JsonText text;
  private final NumberText numbers;
  private final SchemaValues values;
  private final Scratch scratch;
  private final ArrayText arrays;
  private final Map<String, Term> known = new HashMap<>();
  private final Set<String> open = new HashSet<>();
  private final Set<String> recurring = new HashSet<>();

  /**
   * @param prefix what names of this schema begin with
   */
  SchemaText(String prefix, Terms terms, SchemaValues values, Scratch scratch) {
    this.prefix = prefix;
    this.terms = terms;
    this.text = new JsonText(terms);
    this.numbers = new NumberText(terms);
    this.values = values;
    this.scratch = scratch;
    this.arrays = new ArrayText(terms, text, values, this::of);
  }

  /** The texts of values of which something is asked. */
  Term of(Conjunction asked) {
    String name = prefix + asked.name();
    Term term = known.get(name);
    if (term != null) {
      return term;
    }
    if (!open.add(name)) {
      recurring.add(name);
      return terms.reference(name);
    }
    if (open.size() > DEEPEST) {
      throw new ConstraintException(
          "",
          "The schema has values in values, deeper than %d; write it flatter.".formatted(DEEPEST));
    }
    term = terms.choice(values.of(asked).stream().map(this::of).toList());
    open.remove(name);
    if (recurring.contains(name)) {
      terms.define(name, term);
      term = terms.reference(name);
    }
    known.put(name, term);
    return term;
  }

  private Term of(Alternative alternative) {
    Optional<List<JsonElement>> listed = values.listed(alternative);
    return terms.choice(
        listed.isPresent()
            ? listed.get().stream().map(text::value).toList()
            : alternative.kinds().stream().map(kind -> of(alternative, kind)).toList());
  }

  private Term of(Alternative alternative, Kind kind) {
    return switch (kind) {
      case NULL -> terms.text("null");
      case TRUE -> terms.text("true");
      case FALSE -> terms.text("false");
      case NUMBER -> numbers.of(alternative.numbers);
      case STRING -> text.quoted(alternative.strings.content(terms, text));
      case ARRAY -> arrays.of(alternative);
      case OBJECT -> object(alternative);
    };
  }

  // Objects

  private Term object(Alternative alternative) {
    ObjectSet objects = alternative.objects;
    Conjunction asked = Conjunction.of(objects.names());
    Set<String> names = new LinkedHashSet<>(objects.known());
    List<StringSet> other = names(asked, names);
    List<Members.Member> members = new ArrayList<>();
    for (String name : names) {
      boolean allowed = values.has(asked, new JsonPrimitive(name));
      Term value = allowed ? of(objects.value(name, scratch)) : terms.never();
      boolean required = objects.required().contains(name);
      if (required || !value.never()) {
        members.add(new Members.Member(text.member(name, value), required));
      }
    }
    Term others = terms.choice(others(alternative, names, other));
    int needed = objects.required().size();
    if (objects.least() > needed + 1 && !others.never()) {
      throw alternative.refuse(
          "minProperties",
          ("asks for %d members more than are required, and whether names of additional ones differ"
                  + " is not remembered; require names, or close the object with"
                  + " 'additionalProperties'.")
              .formatted(objects.least() - needed));
    }
    int most = objects.most();
    if (most >= 0 && Math.max(needed, objects.least()) > most) {
      return terms.never();
    }
    return text.object(
        new Members(
            members,
            others.never() ? Optional.empty() : Optional.of(others),
            objects.least() > needed ? objects.least() : 0,
            most,
            text.separator()));
  }

  /**
   * The sets of names besides those that are known.
   *
   * @param known to which names are added that are listed
   */
  private List<StringSet> names(Conjunction asked, Set<String> known) {
    List<StringSet> sets = new ArrayList<>();
    for (Alternative alternative : values.of(asked)) {
      if (alternative.listed() != null) {
        for (JsonElement value : values.listed(alternative).orElseThrow()) {
          if (Kind.of(value) == Kind.STRING) {
            known.add(value.getAsString());
          }
        }
      } else if (alternative.has(Kind.STRING)) {
        sets.add(alternative.strings);
      }
    }
    return sets;
  }

  /** Members with other names, by the expressions that are found in these. */
  private List<Term> others(Alternative alternative, Set<String> known, List<StringSet> names) {
    List<Pattern> patterns = alternative.objects.patterns();
    if (patterns.size() > MOST_PATTERNS) {
      throw alternative.refuse(
          "patternProperties",
          "has, with what holds beside it, more than %d expressions; write fewer."
              .formatted(MOST_PATTERNS));
    }
    List<Term> all = new ArrayList<>();
    for (int subset = 0; subset < 1 << patterns.size(); subset++) {
      StringSet name = StringSet.ALL;
      Set<Pattern> found = new HashSet<>();
      for (int i = 0; i < patterns.size(); i++) {
        boolean is = (subset >> i & 1) != 0;
        name = is ? name.with(patterns.get(i)) : name.without(patterns.get(i));
        if (is) {
          found.add(patterns.get(i));
        }
      }
      for (String other : known) {
        name = name.without(other);
      }
      Term value = of(alternative.objects.value(found));
      for (StringSet allowed : names) {
        StringSet both = name.and(allowed);
        if (!value.never() && !(patterns.size() > 0 && both.isEmpty(scratch))) {
          all.add(
              terms.sequence(
                  text.quoted(both.name(terms, text)), terms.text(":"), text.blank(), value));
        }
      }
    }
    return all;
  }
}
