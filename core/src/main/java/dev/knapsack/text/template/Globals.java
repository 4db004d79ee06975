package dev.knapsack.text.template;

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
    scope.set("raise_exception", (Callable) Globals::raise);
    scope.set(
        "strftime_now",
        (Callable)
            (arguments, meter) ->
                TimeFormat.format(
                    arguments.only("strftime_now", "format").string(0, "format"),
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
    List<Object> values = meter.list((int) Math.max(0, count));
    for (long i = 0; i < count; i++) {
      values.add(start + i * step);
    }
    return values;
  }

  private static Object namespace(Arguments arguments, Meter meter) {
    Namespace namespace = new Namespace();
    dict(arguments, meter)
        .forEach((name, value) -> namespace.attributes.put(Values.requireString(name), value));
    return namespace;
  }

  private static Map<Object, Object> dict(Arguments arguments, Meter meter) {
    Map<Object, Object> values = new LinkedHashMap<>();
    for (Object from : arguments.positional()) {
      Map<Object, Object> more = Values.requireMap(from);
      meter.elements(4L * more.size());
      values.putAll(more);
    }
    meter.elements(4L * arguments.named().size());
    values.putAll(arguments.named());
    return values;
  }

  private static Object raise(Arguments arguments, Meter meter) {
    throw new TemplateException(
        Representation.of(arguments.only("raise_exception", "message").get(0, "message"), meter));
  }
}
