package dev.knapsack.cache.policy;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A published method: a name for a recipe.
 *
 * @param parameters with what each is if nothing is said, {@code TOKENS=1024,WINDOW=32}; those
 *     without must be said
 * @param recipe written out, with parameters in capitals, {@code uniform(TOKENS)}, and sums and
 *     parts of them, {@code SINKS+RECENT} and {@code TOKENS/2}
 */
record Method(String name, String parameters, String recipe) {
  private static final Pattern USE = Pattern.compile("([A-Z]{2,})(?:\\+([A-Z]+)|/(\\d))?");

  private List<String> items() {
    return parameters.isEmpty() ? List.of() : Arrays.asList(parameters.split(","));
  }

  /** The names of its parameters. */
  List<String> names() {
    return items().stream().map(item -> item.split("=", 2)[0]).toList();
  }

  /** The form in which it is written. */
  String form() {
    return Term.form(name, names());
  }

  /**
   * The recipe that it stands for.
   *
   * @param in what is between its brackets; null if there are none
   * @return null if that is not what it wants
   */
  @Nullable String with(@Nullable String in) {
    List<String> names = names();
    List<String> given = in == null ? List.of() : Term.split(in, names);
    if (given == null || (in != null && given.size() != names.size())) {
      return null;
    }
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < names.size(); i++) {
      String[] item = items().get(i).split("=", 2);
      if (in == null && item.length < 2) {
        return null;
      }
      values.put(names.get(i), in == null ? item[1] : given.get(i));
    }
    StringBuilder written = new StringBuilder();
    Matcher use = USE.matcher(recipe);
    while (use.find()) {
      String value = value(use, values);
      if (value == null) {
        return null;
      }
      use.appendReplacement(written, Matcher.quoteReplacement(value));
    }
    return use.appendTail(written).toString();
  }

  private static @Nullable String value(Matcher use, Map<String, String> values) {
    String value = values.getOrDefault(use.group(1), use.group(1));
    if (use.group(2) == null && use.group(3) == null) {
      return value;
    }
    Size size = Size.read(value).orElse(null);
    if (size == null) {
      return null;
    }
    if (use.group(3) != null) {
      return size.dividedBy(Integer.parseInt(use.group(3))).toString();
    }
    Size other = Size.read(values.getOrDefault(use.group(2), "")).orElse(null);
    return other == null ? null : size.plus(other).toString();
  }
}
