package dev.knapsack.cache.policy;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Something that a recipe can ask for: a word, and perhaps what is between brackets behind it.
 *
 * @param parameters what is between its brackets
 * @param make of that
 */
record Term<T>(String name, List<Parameter> parameters, Function<Arguments, T> make) {
  /** The kind of a parameter. */
  enum Kind {
    NUMBER("\\d{1,9}"),
    /** See {@link Size}. */
    SIZE("[\\d.+%]+"),
    /** With or without its sign. */
    PERCENT("(?:\\d{1,2}|100)%?"),
    DECIMAL("\\d{1,9}(?:\\.\\d{1,9})?"),
    TEXT(".+");

    private final Pattern form;

    Kind(String form) {
      this.form = Pattern.compile(form);
    }

    boolean is(String text) {
      return form.matcher(text).matches() && (this != SIZE || isSize(text));
    }

    private static boolean isSize(String text) {
      try {
        return Size.read(text).isPresent();
      } catch (IllegalArgumentException _) {
        return true; // as written, and said better when it is made
      }
    }
  }

  /** A parameter that a term wants to know. */
  record Parameter(String name, Kind kind) {}

  /** The values that it has been told, of the kinds that it wants. */
  record Arguments(List<String> texts) {
    int number(int i) {
      return Integer.parseInt(texts.get(i));
    }

    Size size(int i) {
      return Size.read(texts.get(i)).orElseThrow();
    }

    int percent(int i) {
      String text = texts.get(i);
      return Integer.parseInt(text.endsWith("%") ? text.substring(0, text.length() - 1) : text);
    }

    double decimal(int i) {
      return Double.parseDouble(texts.get(i));
    }

    String text(int i) {
      return texts.get(i);
    }
  }

  /** Of things that need nothing more. */
  Term(String name, T thing) {
    this(name, List.of(), _ -> thing);
  }

  static Parameter number(String name) {
    return new Parameter(name, Kind.NUMBER);
  }

  static Parameter size(String name) {
    return new Parameter(name, Kind.SIZE);
  }

  static Parameter percent(String name) {
    return new Parameter(name, Kind.PERCENT);
  }

  static Parameter decimal(String name) {
    return new Parameter(name, Kind.DECIMAL);
  }

  static Parameter text(String name) {
    return new Parameter(name, Kind.TEXT);
  }

  /** A decimal as it is read. */
  static String written(double decimal) {
    return BigDecimal.valueOf(decimal).stripTrailingZeros().toPlainString();
  }

  private static final Pattern NAMED = Pattern.compile("([A-Za-z]\\w*)\\s*=\\s*(.*)");

  /** The form in which it is written: {@code pyramid(TOKENS,WINDOW)}. */
  String form() {
    return form(name, parameters.stream().map(Parameter::name).toList());
  }

  static String form(String name, List<String> parameters) {
    return parameters.isEmpty()
        ? name
        : parameters.stream()
            .map(p -> p.toUpperCase(Locale.ROOT))
            .collect(Collectors.joining(",", name + "(", ")"));
  }

  /** The arguments that it was told, or null if that is not what it wants. */
  @Nullable Arguments arguments(String in) {
    List<String> names = parameters.stream().map(Parameter::name).toList();
    List<String> texts = split(in, names);
    if (texts == null || texts.size() != parameters.size()) {
      return null;
    }
    for (int i = 0; i < texts.size(); i++) {
      if (!parameters.get(i).kind().is(texts.get(i))) {
        return null;
      }
    }
    return new Arguments(texts);
  }

  /** The parts between brackets, in its order, with names or without; null if they are others. */
  static @Nullable List<String> split(String in, List<String> names) {
    List<String> texts = new ArrayList<>();
    String[] items = in.isBlank() ? new String[0] : in.split(",", -1);
    for (int i = 0; i < items.length; i++) {
      String text = items[i].strip();
      Matcher named = NAMED.matcher(text);
      boolean hasName = named.matches();
      if (i >= names.size() || (hasName && !named.group(1).equalsIgnoreCase(names.get(i)))) {
        return null;
      }
      texts.add(hasName ? named.group(2) : text);
    }
    return texts;
  }
}
