package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The functions that every template can call. */
final class Globals {
  private static final int MAX_RANGE = 100_000;

  private Globals() {}

  static Scope scope(Clock clock) {
    Scope scope = new Scope(null);
    scope.set("range", (Callable) Globals::range);
    scope.set("namespace", (Callable) Globals::namespace);
    scope.set("dict", (Callable) Globals::dict);
    scope.set("cycler", (Callable) Globals::cycler);
    scope.set("joiner", (Callable) Globals::joiner);
    scope.set("lipsum", (Callable) Globals::lipsum);
    scope.set("raise_exception", (Callable) Globals::raise);
    scope.set(
        "strftime_now",
        (Callable)
            (arguments, meter) ->
                TimeFormat.format(
                    arguments.only("strftime_now", "format").text(0, "format"),
                    ZonedDateTime.now(clock),
                    meter));
    return scope;
  }

  private static Object range(Arguments arguments, Meter meter) {
    arguments.only("range", "start", "stop", "step");
    boolean single = arguments.positional().size() == 1;
    long start = single ? 0 : Values.requireInteger(arguments.get(0, "start"));
    long stop = Values.requireInteger(arguments.get(single ? 0 : 1, "stop"));
    long step = Values.requireInteger(arguments.get(2, "step", 1L));
    if (step == 0) {
      throw new TemplateException("range() arg 3 must not be zero");
    }
    double count = Math.ceil(((double) stop - start) / step);
    if (count > MAX_RANGE) {
      throw new TemplateException(
          "Range too big: the limit of a range is " + MAX_RANGE + " elements");
    }
    meter.elements(1);
    return new Range(start, stop, step, (int) Math.max(0, count));
  }

  private static Object namespace(Arguments arguments, Meter meter) {
    Namespace namespace = new Namespace();
    dict(arguments, meter)
        .forEach((name, value) -> namespace.attributes.put(Values.requireString(name), value));
    return namespace;
  }

  static Map<Object, Object> dict(Arguments arguments, Meter meter) {
    Map<Object, Object> values = new LinkedHashMap<>();
    for (Object from : arguments.positional()) {
      if (from instanceof Map<?, ?>) {
        Map<Object, Object> more = Values.requireMap(from);
        meter.elements(4L * more.size());
        values.putAll(more);
      } else {
        for (Object pair : Values.elements(from, meter)) {
          List<Object> parts = Values.elements(pair, meter);
          if (parts.size() != 2) {
            throw new TemplateException("dict() takes pairs of a key and a value");
          }
          meter.elements(4);
          values.put(Values.key(parts.get(0), meter), parts.get(1));
        }
      }
    }
    meter.elements(4L * arguments.named().size());
    arguments.named().forEach((name, value) -> values.put(MarkedText.control(name), value));
    return values;
  }

  private static Object cycler(Arguments arguments, Meter meter) {
    if (arguments.positional().isEmpty()) {
      throw new TemplateException("at least one item has to be provided");
    }
    return new Cycler(arguments.positional());
  }

  /** A function that gives the separator each time but the first. */
  private static Object joiner(Arguments arguments, Meter meter) {
    Object separator = arguments.only("joiner", "sep").get(0, "sep", MarkedText.input(", "));
    boolean[] used = new boolean[1];
    return (Callable)
        (_, _) -> {
          Object now = used[0] ? separator : MarkedText.EMPTY;
          used[0] = true;
          return now;
        };
  }

  private static Object lipsum(Arguments arguments, Meter meter) {
    throw new TemplateException(
        "the function 'lipsum' is not supported: a prompt must be the same each time");
  }

  private static Object raise(Arguments arguments, Meter meter) {
    throw new TemplateException(
        Representation.of(arguments.only("raise_exception", "message").get(0, "message"), meter)
            .text());
  }
}
