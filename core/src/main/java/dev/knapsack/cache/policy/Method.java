package dev.knapsack.cache.policy;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A published method: a name for a recipe.
 *
 * @param keeps the tokens or numbers that it keeps, in a few words for people
 * @param source who published it
 * @param measured how many answers it kept
 * @param parameters with what each is if nothing is said, {@code TOKENS=1024,WINDOW=32}
 * @param recipe written out, with parameters in capitals, {@code uniform(TOKENS)}, and sums and
 *     parts of them, {@code SINKS+RECENT} and {@code TOKENS/2}
 */
public record Method(
    String name, String keeps, String source, Measured measured, String parameters, String recipe) {
  /**
   * Right answers of notes-2.6m, which gives {@value #WHOLE} of {@value #ASKED} from the whole F16
   * cache, to questions of 1,024 tokens that are asked once the cache has been compressed; {@code
   * knapsack eval kv} with the options in docs/benchmarks.md counts them.
   *
   * @param percent of the bytes of the whole cache; 0 if nothing was measured
   * @param right of {@value #ASKED} answers
   */
  public record Measured(int percent, int right) {
    public static final int ASKED = 40;
    public static final int WHOLE = 37;

    static final Measured NOT = new Measured(0, 0);

    static Measured quarter(int right) {
      return new Measured(25, right);
    }
  }

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

  /** The same with what each parameter is if nothing is said: {@code streaming(4,1020)}. */
  public String usual() {
    return items().stream()
        .map(item -> item.split("=", 2)[1])
        .collect(Collectors.joining(",", name + "(", ")"));
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
