package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The filters on lists and dictionaries. */
final class ListFilters {
  private final Filters filters;
  private final Meter meter;

  ListFilters(Filters filters, Meter meter) {
    this.filters = filters;
    this.meter = meter;
  }

  Object apply(String name, Object value, Arguments arguments) {
    return switch (name) {
      case "list" -> copy(value);
      case "first" -> {
        List<Object> items = value instanceof Generator ? List.of() : Values.elements(value, meter);
        Object first =
            value instanceof Generator generator
                ? generator.next(meter)
                : items.isEmpty() ? null : items.getFirst();
        yield first == null ? new Undefined("No first item, sequence was empty.") : first;
      }
      case "last" -> {
        if (value instanceof Generator generator) {
          throw new TemplateException("'" + generator.type() + "' object is not reversible");
        }
        List<Object> items = Values.elements(value, meter);
        yield items.isEmpty()
            ? new Undefined("No last item, sequence was empty.")
            : items.getLast();
      }
      case "join" -> join(value, arguments);
      case "reverse" -> reverse(value);
      case "map" -> map(value, arguments);
      case "select", "reject", "selectattr", "rejectattr" -> select(name, value, arguments);
      case "sort" -> {
        arguments.only(name, "reverse", "case_sensitive", "attribute");
        Object attribute = arguments.get(2, "attribute", None.NONE);
        boolean caseSensitive = arguments.flag(1, "case_sensitive", false);
        yield sorted(
            copy(value),
            item -> keys(item, attribute, caseSensitive),
            arguments.flag(0, "reverse", false));
      }
      case "dictsort" -> {
        arguments.only(name, "case_sensitive", "by", "reverse");
        String by = Values.requireString(arguments.get(1, "by", MarkedText.control("key")));
        if (!by.equals("key") && !by.equals("value")) {
          throw new TemplateException("You can only sort by either \"key\" or \"value\"");
        }
        boolean caseSensitive = arguments.flag(0, "case_sensitive", false);
        yield sorted(
            Attributes.items(Values.requireMap(value), meter),
            item -> folded(part(item, by.equals("value") ? 1L : 0L), caseSensitive),
            arguments.flag(2, "reverse", false));
      }
      case "min", "max" -> extreme(value, arguments, name);
      case "sum" -> {
        arguments.only(name, "attribute", "start");
        Object attribute = arguments.get(0, "attribute", None.NONE);
        Object sum = arguments.get(1, "start", 0L);
        if (sum instanceof MarkedText) {
          throw new TemplateException("sum() can't sum strings [use ''.join(seq) instead]");
        }
        for (Object item : Values.elements(value, meter)) {
          meter.step(1);
          sum = Arithmetic.apply("+", sum, part(item, attribute), meter);
        }
        yield sum;
      }
      case "unique" -> unique(value, arguments);
      case "groupby" -> groups(value, arguments);
      case "batch" -> batches(value, arguments);
      case "slice" -> slices(value, arguments);
      default -> throw new TemplateException("No filter named '" + name + "'.");
    };
  }

  private List<Object> copy(Object value) {
    List<Object> items = Values.elements(value, meter);
    List<Object> copy = meter.list(items.size());
    copy.addAll(items);
    return copy;
  }

  private Object part(Object item, Object attribute) {
    return attribute == None.NONE ? item : filters.path(item, attribute, None.NONE);
  }

  private MarkedText join(Object value, Arguments arguments) {
    arguments.only("join", "d", "attribute");
    MarkedText separator = Representation.of(arguments.get(0, "d", MarkedText.EMPTY), meter);
    Object attribute = arguments.get(1, "attribute", None.NONE);
    List<Object> items = Values.elements(value, meter);
    if (attribute == None.NONE) {
      return Strings.join(separator, items, meter);
    }
    List<Object> parts = meter.list(items.size());
    items.forEach(item -> parts.add(part(item, attribute)));
    return Strings.join(separator, parts, meter);
  }

  private Object reverse(Object value) {
    return switch (value) {
      case MarkedText text ->
          Strings.join(MarkedText.EMPTY, Values.elements(text, meter).reversed(), meter);
      case Generator generator -> generator.rest(meter).reversed();
      case Range range -> Generator.reversed("range_iterator", range);
      case Tuple tuple -> Generator.reversed("reversed", tuple);
      case List<?> list -> Generator.reversed("list_reverseiterator", Values.elements(list, meter));
      default -> {
        if (!(value instanceof Map<?, ?>
            || value instanceof DictView
            || value instanceof Undefined)) {
          throw new TemplateException("argument must be iterable");
        }
        yield Generator.reversed("dict_reverseiterator", Values.elements(value, meter));
      }
    };
  }

  /** The elements of a value, asked for when the first is taken; of a false one, there are none. */
  private final class Elements {
    private final Object value;
    private final boolean evenFalse;
    private @Nullable Iterator<Object> iterator;

    Elements(Object value, boolean evenFalse) {
      this.value = value;
      this.evenFalse = evenFalse;
    }

    @Nullable Object next() {
      if (value instanceof Generator generator) {
        return generator.next(meter);
      }
      Iterator<Object> from = iterator;
      if (from == null) {
        from =
            evenFalse || Values.isTrue(value)
                ? Values.elements(value, meter).iterator()
                : List.of().iterator();
        iterator = from;
      }
      return from.hasNext() ? from.next() : null;
    }
  }

  private Generator map(Object value, Arguments arguments) {
    Elements elements = new Elements(value, false);
    return Generator.of(() -> {
      Object item = elements.next();
      if (item == null) {
        return null;
      }
      Object attribute = arguments.named().get("attribute");
      if (!arguments.positional().isEmpty() || attribute == null) {
        if (arguments.positional().isEmpty()) {
          throw new TemplateException("map requires a filter argument");
        }
        return filters.apply(arguments.string(0, "filter"), item, rest(arguments, 1));
      }
      for (String name : arguments.named().keySet()) {
        if (!name.equals("attribute") && !name.equals("default")) {
          throw new TemplateException("Unexpected keyword argument '" + name + "'");
        }
      }
      Object fallback = arguments.named().getOrDefault("default", None.NONE);
      return filters.path(item, attribute, fallback);
    });
  }

  private static Arguments rest(Arguments arguments, int from) {
    List<Object> positional = arguments.positional();
    return new Arguments(
        positional.subList(Math.min(from, positional.size()), positional.size()),
        arguments.named());
  }

  private Generator select(String name, Object value, Arguments arguments) {
    boolean byAttribute = name.endsWith("attr");
    boolean wanted = name.startsWith("select");
    int test = byAttribute ? 1 : 0;
    Elements elements = new Elements(value, false);
    return Generator.of(() -> {
      for (Object item = elements.next(); item != null; item = elements.next()) {
        meter.step(1);
        if (byAttribute && arguments.positional().isEmpty()) {
          throw new TemplateException("Missing parameter for attribute name");
        }
        Object part = byAttribute ? part(item, arguments.positional().getFirst()) : item;
        boolean holds =
            arguments.positional().size() > test
                ? Tests.holds(
                    arguments.string(test, "test"), part, rest(arguments, test + 1), meter)
                : Values.isTrue(part);
        if (holds == wanted) {
          return item;
        }
      }
      return null;
    });
  }

  /** The keys that an item is sorted by: one part of it after the other. */
  private List<Object> keys(Object item, Object attribute, boolean caseSensitive) {
    List<Object> keys = meter.list(1);
    if (!(attribute instanceof MarkedText names)) {
      keys.add(folded(part(item, attribute), caseSensitive));
      return keys;
    }
    for (Object name : Strings.split(names, MarkedText.control(","), -1, meter)) {
      keys.add(folded(part(item, name), caseSensitive));
    }
    return keys;
  }

  private List<Object> sorted(List<Object> items, UnaryOperator<Object> key, boolean reverse) {
    List<Keyed> keyed = meter.list(items.size());
    for (Object item : items) {
      keyed.add(new Keyed(key.apply(item), item));
    }
    Comparator<Keyed> order = (a, b) -> Values.compare(a.key(), b.key(), "<", meter);
    keyed.sort(reverse ? order.reversed() : order);
    List<Object> sorted = meter.list(items.size());
    keyed.forEach(k -> sorted.add(k.item()));
    return sorted;
  }

  private record Keyed(Object key, Object item) {}

  private Object folded(Object value, boolean caseSensitive) {
    return caseSensitive || !(value instanceof MarkedText text)
        ? value
        : Letters.lower(text, meter);
  }

  private Object extreme(Object value, Arguments arguments, String name) {
    arguments.only(name, "case_sensitive", "attribute");
    boolean caseSensitive = arguments.flag(0, "case_sensitive", false);
    Object attribute = arguments.get(1, "attribute", None.NONE);
    String operator = name.equals("max") ? ">" : "<";
    Object best = null;
    Object bestKey = None.NONE;
    for (Object item : Values.elements(value, meter)) {
      Object key = folded(part(item, attribute), caseSensitive);
      int order = best == null ? 0 : Values.compare(key, bestKey, operator, meter);
      if (best == null || (name.equals("max") ? order > 0 : order < 0)) {
        best = item;
        bestKey = key;
      }
    }
    return best == null ? new Undefined("No aggregated item, sequence was empty.") : best;
  }

  private Generator unique(Object value, Arguments arguments) {
    arguments.only("unique", "case_sensitive", "attribute");
    boolean caseSensitive = arguments.flag(0, "case_sensitive", false);
    Object attribute = arguments.get(1, "attribute", None.NONE);
    Elements elements = new Elements(value, true);
    List<Object> seen = meter.list(0);
    return Generator.of(() -> {
      for (Object item = elements.next(); item != null; item = elements.next()) {
        Object key = folded(part(item, attribute), caseSensitive);
        if (!(key instanceof Tuple)) {
          key = Values.key(key, meter);
        }
        if (!Values.contains(seen, key, meter)) {
          meter.elements(1);
          seen.add(key);
          return item;
        }
      }
      return null;
    });
  }

  /** Pairs of a key and the items of that key, in the order of the keys. */
  private List<Object> groups(Object value, Arguments arguments) {
    arguments.only("groupby", "attribute", "default", "case_sensitive");
    Object attribute = arguments.get(0, "attribute");
    Object fallback = arguments.get(1, "default", None.NONE);
    boolean caseSensitive = arguments.flag(2, "case_sensitive", false);
    List<Object> groups = meter.list(0);
    Object last = None.NONE;
    List<Object> group = new ArrayList<>();
    List<Object> items =
        sorted(
            copy(value),
            item -> folded(filters.path(item, attribute, fallback), caseSensitive),
            false);
    for (Object item : items) {
      Object key = filters.path(item, attribute, fallback);
      Object folded = folded(key, caseSensitive);
      if (groups.isEmpty() || !Values.equal(folded, last, meter)) {
        group = meter.list(0);
        meter.elements(4);
        groups.add(Tuple.group(key, group));
        last = folded;
      }
      meter.elements(1);
      group.add(item);
    }
    return groups;
  }

  private Generator batches(Object value, Arguments arguments) {
    arguments.only("batch", "linecount", "fill_with");
    long size = Values.requireInteger(arguments.get(0, "linecount"));
    Object fill = arguments.get(1, "fill_with", None.NONE);
    Elements elements = new Elements(value, true);
    // One element is taken ahead, as the reference does.
    List<Object> ahead = new ArrayList<>();
    return Generator.of(() -> {
      List<Object> batch = meter.list(0);
      batch.addAll(ahead);
      ahead.clear();
      for (Object item = elements.next(); item != null; item = elements.next()) {
        meter.elements(1);
        if (!batch.isEmpty() && batch.size() == size) {
          ahead.add(item);
          return batch;
        }
        batch.add(item);
      }
      if (batch.isEmpty()) {
        return null;
      }
      if (fill != None.NONE && batch.size() < size) {
        meter.elements(size - batch.size());
        while (batch.size() < size) {
          batch.add(fill);
        }
      }
      return batch;
    });
  }

  private Generator slices(Object value, Arguments arguments) {
    arguments.only("slice", "slices", "fill_with");
    long count = Values.requireInteger(arguments.get(0, "slices"));
    Object fill = arguments.get(1, "fill_with", None.NONE);
    Elements elements = new Elements(value, true);
    List<Object> all = meter.list(0);
    long[] state = {-1, 0}; // the next slice, and where it starts
    return Generator.of(() -> {
      if (state[0] < 0) {
        for (Object item = elements.next(); item != null; item = elements.next()) {
          meter.elements(1);
          all.add(item);
        }
        if (count == 0) {
          throw new TemplateException("integer division or modulo by zero");
        }
        state[0] = 0;
      }
      if (state[0] >= count) {
        return null;
      }
      boolean longer = state[0] < all.size() % count;
      int from = (int) state[1];
      int to = (int) (from + all.size() / count + (longer ? 1 : 0));
      List<Object> slice = meter.list(to - from + 1);
      slice.addAll(all.subList(from, to));
      if (fill != None.NONE && !longer) {
        slice.add(fill);
      }
      state[0]++;
      state[1] = to;
      return slice;
    });
  }
}
