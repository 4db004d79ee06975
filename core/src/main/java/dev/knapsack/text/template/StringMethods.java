package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** The methods of strings. */
final class StringMethods {
  private static final MarkedText ZERO = MarkedText.input("0");
  private static final MarkedText BLANK = MarkedText.input(" ");

  private StringMethods() {}

  static @Nullable Callable find(MarkedText self, String name) {
    return switch (name) {
      case "upper", "lower", "capitalize", "title", "swapcase", "casefold" ->
          (arguments, meter) -> {
            arguments.only(name);
            return switch (name) {
              case "upper" -> Letters.upper(self, meter);
              case "lower" -> Letters.lower(self, meter);
              case "capitalize" -> Letters.capitalized(self, meter);
              case "title" -> Letters.titled(self, meter);
              case "swapcase" -> Letters.swapped(self, meter);
              default -> Letters.folded(self, meter);
            };
          };
      case "strip", "lstrip", "rstrip" ->
          (arguments, meter) ->
              Strings.strip(
                  self,
                  arguments.only(name, "chars").get(0, "chars", None.NONE),
                  !name.equals("rstrip"),
                  !name.equals("lstrip"),
                  meter);
      case "split", "rsplit" ->
          (arguments, meter) -> {
            arguments.only(name, "sep", "maxsplit");
            Object separator = arguments.get(0, "sep", None.NONE);
            int max = arguments.integer(1, "maxsplit", -1);
            return name.equals("split")
                ? Strings.split(self, separator, max, meter)
                : Strings.splitFromEnd(self, separator, max, meter);
          };
      case "splitlines" ->
          (arguments, meter) ->
              Strings.lines(
                  self, arguments.only(name, "keepends").flag(0, "keepends", false), meter);
      case "startswith", "endswith" -> (arguments, meter) -> affix(self, arguments, name, meter);
      case "removeprefix" ->
          (arguments, meter) -> {
            String prefix = arguments.only(name, "prefix").string(0, "prefix");
            int from = self.text().startsWith(prefix) ? prefix.length() : 0;
            return Strings.part(self, from, self.length(), meter);
          };
      case "removesuffix" ->
          (arguments, meter) -> {
            String suffix = arguments.only(name, "suffix").string(0, "suffix");
            int cut = self.text().endsWith(suffix) ? suffix.length() : 0;
            return Strings.part(self, 0, self.length() - cut, meter);
          };
      case "replace" ->
          (arguments, meter) -> {
            arguments.only(name, "old", "new", "count");
            return Strings.replace(
                self,
                arguments.text(0, "old"),
                arguments.text(1, "new"),
                arguments.integer(2, "count", -1),
                meter);
          };
      case "join" ->
          (arguments, meter) -> {
            List<Object> parts =
                Values.elements(arguments.only(name, "iterable").get(0, "iterable"), meter);
            parts.forEach(Values::requireText);
            return Strings.join(self, parts, meter);
          };
      case "find", "rfind", "index", "rindex" ->
          (arguments, meter) -> {
            Part part = Part.of(self.text(), arguments, name, meter);
            int at = part.find(arguments.text(0, "sub").text(), name.startsWith("r"), meter);
            if (at < 0 && name.endsWith("index")) {
              throw new TemplateException("substring not found");
            }
            meter.scan(Math.max(0, at));
            return at < 0 ? -1L : (long) self.text().codePointCount(0, at);
          };
      case "count" ->
          (arguments, meter) ->
              Part.of(self.text(), arguments, name, meter)
                  .count(arguments.text(0, "sub").text(), meter);
      case "partition", "rpartition" ->
          (arguments, meter) -> partition(self, arguments.string(0, "sep"), name, meter);
      case "center", "ljust", "rjust", "zfill" ->
          (arguments, meter) -> pad(self, arguments, name, meter);
      case "expandtabs" ->
          (arguments, meter) ->
              expandTabs(self, arguments.only(name, "tabsize").integer(0, "tabsize", 8), meter);
      case "isdecimal" -> all(self, name, Character::isDigit);
      case "isdigit" -> all(self, name, StringMethods::isDigit);
      case "isnumeric" -> all(self, name, StringMethods::isNumeric);
      case "isalpha" -> all(self, name, Character::isLetter);
      case "isalnum" -> all(self, name, c -> Character.isLetter(c) || isNumeric(c));
      case "isspace" -> all(self, name, Strings::isSpace);
      case "isascii" -> (_, meter) -> self.isEmpty() || holds(self, c -> c < 0x80, meter);
      case "isprintable" ->
          (_, meter) -> self.isEmpty() || holds(self, Representation::isPrintable, meter);
      case "isidentifier" ->
          (_, meter) ->
              holds(self, c -> c == '_' || Character.isUnicodeIdentifierPart(c), meter)
                  && (self.charAt(0) == '_'
                      || Character.isUnicodeIdentifierStart(self.text().codePointAt(0)));
      case "isupper", "islower" ->
          (arguments, meter) -> {
            arguments.only(name);
            return Letters.areAll(name.equals("isupper"), self.text(), meter);
          };
      case "istitle" -> (_, meter) -> Letters.areTitled(self.text(), meter);
      case "format" -> (arguments, meter) -> BraceFormat.format(self, arguments, meter);
      case "format_map" ->
          (arguments, meter) -> {
            Map<String, Object> named = new LinkedHashMap<>();
            Map<Object, Object> from = Values.requireMap(arguments.get(0, "mapping"));
            meter.elements(4L * from.size());
            from.forEach((key, value) -> named.put(Values.requireString(key), value));
            return BraceFormat.format(self, new Arguments(List.of(), named), meter);
          };
      default -> null;
    };
  }

  private static boolean holds(MarkedText self, IntPredicate holds, Meter meter) {
    meter.step(1 + (self.length() >> 3));
    return !self.isEmpty() && self.text().codePoints().allMatch(holds);
  }

  private static Callable all(MarkedText self, String name, IntPredicate holds) {
    return (arguments, meter) -> {
      arguments.only(name);
      return holds(self, holds, meter);
    };
  }

  private static boolean isDigit(int c) {
    return Character.isDigit(c)
        || (c >= 0x2460 && c <= 0x2468)
        || "\u00b2\u00b3\u00b9\u2070\u2074\u2075\u2076\u2077\u2078\u2079".indexOf(c) >= 0
        || (c >= 0x2080 && c <= 0x2089);
  }

  private static boolean isNumeric(int c) {
    return switch (Character.getType(c)) {
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> true;
      default -> "〇一二三四五六七八九十百千万億兆".indexOf(c) >= 0;
    };
  }

  /** The part of a string, in UTF-16 units, that a search is confined to. */
  private record Part(String text, int from, int to) {
    /** The part that the second and third argument name in code points; all without them. */
    static Part of(String text, Arguments arguments, String name, Meter meter) {
      arguments.only(name, "sub", "start", "end");
      Object start = arguments.get(1, "start", None.NONE);
      Object end = arguments.get(2, "end", None.NONE);
      if (start == None.NONE && end == None.NONE) {
        return new Part(text, 0, text.length());
      }
      int length = Strings.length(text, meter);
      long first = start == None.NONE ? 0 : Values.requireInteger(start);
      long last = end == None.NONE ? length : Values.requireInteger(end);
      first = first < 0 ? Math.max(0, first + length) : first;
      last = Math.clamp(last < 0 ? last + length : last, 0, length);
      if (first > last) {
        return new Part(text, 1, 0); // where not even the empty string is found
      }
      int from = text.offsetByCodePoints(0, (int) first);
      return new Part(text, from, text.offsetByCodePoints(from, (int) (last - first)));
    }

    int find(String part, boolean last, Meter meter) {
      meter.search(Math.max(0, to - from), part.length());
      if (from > to) {
        return -1;
      }
      int at = last ? text.lastIndexOf(part, to - part.length()) : text.indexOf(part, from, to);
      return at >= from && at + part.length() <= to ? at : -1;
    }

    long count(String part, Meter meter) {
      meter.search(Math.max(0, to - from), part.length());
      if (from > to) {
        return 0;
      }
      if (part.isEmpty()) {
        return text.codePointCount(from, to) + 1L;
      }
      long count = 0;
      for (int at = text.indexOf(part, from, to);
          at >= 0;
          at = text.indexOf(part, at + part.length(), to)) {
        count++;
      }
      return count;
    }

    boolean has(String affix, boolean atStart) {
      return from <= to
          && affix.length() <= to - from
          && text.startsWith(affix, atStart ? from : to - affix.length());
    }
  }

  private static boolean affix(MarkedText self, Arguments arguments, String name, Meter meter) {
    Object affix = arguments.get(0, "sub");
    Part part = Part.of(self.text(), arguments, name, meter);
    List<Object> choices = affix instanceof Tuple tuple ? tuple : List.of(affix);
    for (Object choice : choices) {
      String text = Values.requireString(choice);
      meter.scan(text.length());
      if (part.has(text, name.equals("startswith"))) {
        return true;
      }
    }
    return false;
  }

  private static Tuple partition(MarkedText self, String separator, String name, Meter meter) {
    if (separator.isEmpty()) {
      throw new TemplateException("empty separator");
    }
    meter.search(self.length(), separator.length());
    meter.characters(32L + self.length());
    boolean last = name.equals("rpartition");
    int at = last ? self.text().lastIndexOf(separator) : self.text().indexOf(separator);
    if (at < 0) {
      return new Tuple(
          last
              ? List.of(MarkedText.EMPTY, MarkedText.EMPTY, self)
              : List.of(self, MarkedText.EMPTY, MarkedText.EMPTY));
    }
    int end = at + separator.length();
    return new Tuple(
        List.of(self.slice(0, at), self.slice(at, end), self.slice(end, self.length())));
  }

  /** A string in the middle of so many code points. */
  static MarkedText center(MarkedText self, long width, MarkedText fill, Meter meter) {
    long missing = Math.max(0, width - Strings.length(self.text(), meter));
    // Of an odd number of blanks, the reference puts the odd one first when the width is odd.
    long before = missing / 2 + (missing & width & 1);
    return Strings.pad(self, before, fill, missing - before, meter);
  }

  private static MarkedText pad(MarkedText self, Arguments arguments, String name, Meter meter) {
    arguments.only(name, "width", "fillchar");
    long width = Values.requireInteger(arguments.get(0, "width"));
    boolean zeros = name.equals("zfill");
    MarkedText fill = zeros ? ZERO : Values.requireText(arguments.get(1, "fillchar", BLANK));
    if (fill.text().codePointCount(0, fill.length()) != 1) {
      throw new TemplateException("The fill character must be exactly one character long");
    }
    long missing = width - Strings.length(self.text(), meter);
    if (zeros && (self.text().startsWith("-") || self.text().startsWith("+"))) {
      return meter.text().add(self, 0, 1).repeat(ZERO, missing).add(self, 1, self.length()).build();
    }
    return switch (name) {
      case "ljust" -> Strings.pad(self, 0, fill, missing, meter);
      case "center" -> center(self, width, fill, meter);
      default -> Strings.pad(self, missing, fill, 0, meter);
    };
  }

  private static MarkedText expandTabs(MarkedText self, int size, Meter meter) {
    meter.step(self.length() >> 3);
    Meter.Text out = meter.text();
    int column = 0;
    for (int i = 0; i < self.length(); i++) {
      char c = self.charAt(i);
      if (c == '\t') {
        int blanks = size > 0 ? size - column % size : 0;
        out.repeat(BLANK, blanks);
        column += blanks;
      } else {
        out.add(self, i, i + 1);
        column = c == '\n' || c == '\r' ? 0 : Character.isLowSurrogate(c) ? column : column + 1;
      }
    }
    return out.build();
  }
}
