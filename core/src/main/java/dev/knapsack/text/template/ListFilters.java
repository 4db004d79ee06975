package dev.knapsack.text.template;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

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
        List<Object> items = Values.elements(value, meter);
        yield items.isEmpty()
            ? new Undefined("No first item, sequence was empty.")
            : items.getFirst();
      }
      case "last" -> {
        List<Object> items = Values.elements(value, meter);
        yield items.isEmpty()
            ? new Undefined("No last item, sequence was empty.")
            : items.getLast();
      }
      case "join" -> join(value, arguments);
      case "reverse" -> {
        List<Object> reversed = copy(value).reversed();
        yield value instanceof String ? joined(reversed) : reversed;
      }
      case "map" -> map(value, arguments);
      case "select", "reject", "selectattr", "rejectattr" -> select(name, value, arguments);
      case "sort" -> {
        arguments.only(name, "reverse", "case_sensitive", "attribute");
        yield sorted(
            copy(value),
            arguments.get(2, "attribute", None.NONE),
            arguments.flag(0, "reverse", false),
            arguments.flag(1, "case_sensitive", false));
      }
      case "dictsort" -> {
        arguments.only(name, "case_sensitive", "by", "reverse");
        Object by = arguments.get(1, "by", "key");
        yield sorted(
            Attributes.items(Values.requireMap(value), meter),
            by.equals("value") ? 1L : 0L,
            arguments.flag(2, "reverse", false),
            arguments.flag(0, "case_sensitive", false));
      }
      case "min", "max" -> {
        arguments.only(name, "case_sensitive", "attribute");
        List<Object> items =
            sorted(
                copy(value),
                arguments.get(1, "attribute", None.NONE),
                name.equals("max"),
                arguments.flag(0, "case_sensitive", false));
        yield items.isEmpty()
            ? new Undefined("No aggregated item, sequence was empty.")
            : items.getFirst();
      }
      case "sum" -> {
        Object attribute = arguments.get(0, "attribute", None.NONE);
        Object sum = arguments.get(1, "start", 0L);
        for (Object item : Values.elements(value, meter)) {
          meter.step(1);
          sum = Arithmetic.apply("+", sum, part(item, attribute), meter);
        }
        yield sum;
      }
      case "unique" -> unique(value, arguments);
      case "groupby" -> groups(value, arguments);
      case "batch" -> batches(value, arguments);
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
    return attribute == None.NONE ? item : filters.path(item, attribute);
  }

  private String join(Object value, Arguments arguments) {
    arguments.only("join", "d", "attribute");
    String separator = Representation.of(arguments.get(0, "d", ""), meter);
    Object attribute = arguments.get(1, "attribute", None.NONE);
    Meter.Text out = meter.text();
    String before = "";
    for (Object item : Values.elements(value, meter)) {
      meter.step(1);
      out.add(before).add(Representation.of(part(item, attribute), meter));
      before = separator;
    }
    return out.toString();
  }

  private String joined(List<Object> characters) {
    return join(characters, Arguments.NONE);
  }

  private List<Object> map(Object value, Arguments arguments) {
    List<Object> mapped = meter.list(0);
    Object attribute = arguments.named().get("attribute");
    Object fallback = arguments.named().get("default");
    for (Object item : Values.elements(value, meter)) {
      meter.step(1);
      meter.elements(1);
      if (attribute != null) {
        Object part = filters.path(item, attribute);
        mapped.add(part instanceof Undefined && fallback != null ? fallback : part);
      } else {
        mapped.add(filters.apply(arguments.string(0, "filter"), item, rest(arguments, 1)));
      }
    }
    return mapped;
  }

  private static Arguments rest(Arguments arguments, int from) {
    List<Object> positional = arguments.positional();
    return new Arguments(
        positional.subList(Math.min(from, positional.size()), positional.size()),
        arguments.named());
  }

  private List<Object> select(String name, Object value, Arguments arguments) {
    boolean byAttribute = name.endsWith("attr");
    boolean wanted = name.startsWith("select");
    int test = byAttribute ? 1 : 0;
    List<Object> selected = meter.list(0);
    for (Object item : Values.elements(value, meter)) {
      meter.step(1);
      Object part = byAttribute ? filters.path(item, arguments.get(0, "attribute")) : item;
      boolean holds =
          arguments.positional().size() > test
              ? Tests.holds(arguments.string(test, "test"), part, rest(arguments, test + 1), meter)
              : Values.isTrue(part);
      if (holds == wanted) {
        meter.elements(1);
        selected.add(item);
      }
    }
    return selected;
  }

  private List<Object> sorted(
      List<Object> items, Object attribute, boolean reverse, boolean caseSensitive) {
    List<Keyed> keyed = meter.list(items.size());
    for (Object item : items) {
      keyed.add(new Keyed(folded(part(item, attribute), caseSensitive), item));
    }
    Comparator<Keyed> order = (a, b) -> Values.compare(a.key(), b.key(), "<", meter);
    keyed.sort(reverse ? order.reversed() : order);
    List<Object> sorted = meter.list(items.size());
    keyed.forEach(k -> sorted.add(k.item()));
    return sorted;
  }

  private record Keyed(Object key, Object item) {}

  private Object folded(Object value, boolean caseSensitive) {
    if (caseSensitive || !(value instanceof String text)) {
      return value;
    }
    meter.characters(text.length());
    return Strings.lower(text);
  }

  private List<Object> unique(Object value, Arguments arguments) {
    arguments.only("unique", "case_sensitive", "attribute");
    boolean caseSensitive = arguments.flag(0, "case_sensitive", false);
    Object attribute = arguments.get(1, "attribute", None.NONE);
    List<Object> seen = meter.list(0);
    List<Object> unique = meter.list(0);
    for (Object item : Values.elements(value, meter)) {
      Object key = folded(part(item, attribute), caseSensitive);
      if (!Values.contains(seen, key, meter)) {
        meter.elements(2);
        seen.add(key);
        unique.add(item);
      }
    }
    return unique;
  }

  /** Pairs of a key and the items of that key, in the order of the keys. */
  private List<Object> groups(Object value, Arguments arguments) {
    Object attribute = arguments.get(0, "attribute");
    List<Object> groups = meter.list(0);
    Object last = None.NONE;
    List<Object> group = new ArrayList<>();
    for (Object item : sorted(copy(value), attribute, false, false)) {
      Object key = part(item, attribute);
      if (groups.isEmpty() || !Values.equal(folded(key, false), folded(last, false), meter)) {
        group = meter.list(0);
        meter.elements(4);
        groups.add(Tuple.of(key, group));
        last = key;
      }
      meter.elements(1);
      group.add(item);
    }
    return groups;
  }

  private List<Object> batches(Object value, Arguments arguments) {
    arguments.only("batch", "linecount", "fill_with");
    int size = Math.max(1, arguments.integer(0, "linecount", 1));
    Object fill = arguments.get(1, "fill_with", None.NONE);
    List<Object> items = copy(value);
    List<Object> batches = meter.list(0);
    for (int from = 0; from < items.size(); from += Math.min(size, items.size())) {
      List<Object> part = items.subList(from, (int) Math.min(items.size(), (long) from + size));
      List<Object> batch = meter.list(fill == None.NONE ? part.size() : size);
      batch.addAll(part);
      while (fill != None.NONE && batch.size() < size) {
        batch.add(fill);
      }
      batches.add(batch);
    }
    return batches;
  }
}
