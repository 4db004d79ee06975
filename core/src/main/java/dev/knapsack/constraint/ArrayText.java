package dev.knapsack.constraint;

import com.google.gson.JsonElement;
import dev.knapsack.constraint.ArraySet.Contained;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** The texts of arrays. */
final class ArrayText {
  /** Arrays of which some items are counted are written out item by item as far as this. */
  private static final int COUNTED = 64;

  private final Terms terms;
  private final JsonText text;
  private final SchemaValues values;
  private final Function<Conjunction, Term> item;

  /**
   * @param item the texts of an item
   */
  ArrayText(Terms terms, JsonText text, SchemaValues values, Function<Conjunction, Term> item) {
    this.terms = terms;
    this.text = text;
    this.values = values;
    this.item = item;
  }

  Term of(Alternative alternative) {
    ArraySet arrays = alternative.arrays;
    if (arrays.most() >= 0 && arrays.most() < arrays.least()) {
      return terms.never();
    }
    boolean distinct = arrays.distinct() && (arrays.most() < 0 || arrays.most() > 1);
    Term items =
        distinct
            ? distinct(alternative)
            : arrays.contained().isEmpty() ? items(arrays) : counted(alternative);
    return text.enclosed("[", items, "]");
  }

  private Term next(Term item) {
    return terms.sequence(text.separator(), item);
  }

  private Term items(ArraySet arrays) {
    int alike = arrays.alikeFrom();
    int most = arrays.most();
    if (most == 0) {
      return terms.empty();
    }
    int least = arrays.least();
    int from = Math.max(1, alike);
    Term tail =
        most >= 0 && most <= from
            ? least > from ? terms.never() : terms.empty()
            : terms.repeat(
                next(item.apply(arrays.item(alike))),
                Math.max(0, least - from),
                most < 0 ? -1 : most - from);
    int last = most < 0 ? from : Math.min(from, most);
    for (int i = last - 1; i >= 1; i--) {
      Term more = terms.sequence(next(item.apply(arrays.item(i))), tail);
      tail = i >= least ? terms.choice(terms.empty(), more) : more;
    }
    Term some = terms.sequence(item.apply(arrays.item(0)), tail);
    return least == 0 ? terms.choice(terms.empty(), some) : some;
  }

  /** Items that are all different, each of a list. */
  private Term distinct(Alternative alternative) {
    ArraySet arrays = alternative.arrays;
    Optional<List<JsonElement>> all =
        arrays.alikeFrom() == 0 && arrays.contained().isEmpty()
            ? values.list(arrays.item(0))
            : Optional.empty();
    if (all.isEmpty()) {
      throw alternative.refuse(
          "uniqueItems",
          "is supported for items of an 'enum' and for at most one item: what was written is not"
              + " remembered; leave it out, or list what the items may be.");
    }
    List<Members.Member> items =
        all.get().stream().map(value -> new Members.Member(text.value(value), false)).toList();
    return terms.members(
        new Members(items, Optional.empty(), arrays.least(), arrays.most(), text.separator()));
  }

  private Term counted(Alternative alternative) {
    ArraySet arrays = alternative.arrays;
    Contained some = arrays.contained().getFirst();
    int written =
        Math.max(
            1, arrays.most() >= 0 ? arrays.most() : Math.max(arrays.least(), arrays.alikeFrom()));
    if (arrays.contained().size() > 1
        || written > COUNTED
        || Math.max(some.least(), some.most()) > COUNTED) {
      throw alternative.refuse(
          "contains",
          ("is supported once for an array, and with counts of items up to %d; write it so, or"
                  + " leave it out.")
              .formatted(COUNTED));
    }
    return new Counted(arrays, some, written).from(0, 0);
  }

  /** Arrays in which items of a kind are counted. */
  private final class Counted {
    private final ArraySet arrays;
    private final Contained some;

    /** Items up to which each has its own place. */
    private final int written;

    private final int enough;
    private final Map<List<Integer>, Term> known = new HashMap<>();

    Counted(ArraySet arrays, Contained some, int written) {
      this.arrays = arrays;
      this.some = some;
      this.written = written;
      this.enough = some.most() >= 0 ? some.most() : some.least();
    }

    private Term contained(int at) {
      return item.apply(arrays.item(at, some, true));
    }

    /** Any other item; also one of the kind, where more of them do no harm. */
    private Term other(int at) {
      return item.apply(some.most() >= 0 ? arrays.item(at, some, false) : arrays.item(at));
    }

    /**
     * The texts that may follow.
     *
     * @param at items before
     * @param count those of them that are of the kind
     */
    Term from(int at, int count) {
      Term term = known.get(List.of(at, count));
      if (term == null) {
        List<Term> options = new ArrayList<>();
        if (at >= arrays.least() && count >= some.least()) {
          options.add(terms.empty());
        }
        if (at < written) {
          options.add(step(at, other(at), from(at + 1, count)));
          if (count < enough) {
            options.add(step(at, contained(at), from(at + 1, count + 1)));
          }
          term = terms.choice(options);
        } else if (arrays.most() >= 0) {
          term = terms.choice(options);
        } else {
          if (count < enough) {
            options.add(step(at, contained(at), from(at, count + 1)));
          }
          term = terms.sequence(terms.repeat(next(other(at)), 0, -1), terms.choice(options));
        }
        known.put(List.of(at, count), term);
      }
      return term;
    }

    private Term step(int at, Term one, Term rest) {
      return terms.sequence(at == 0 ? one : next(one), rest);
    }
  }
}
