package dev.knapsack.text.template;

import java.util.List;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** The methods of strings. */
final class StringMethods {
  private StringMethods() {}

  static @Nullable Callable find(String self, String name) {
    return switch (name) {
      case "upper", "lower", "capitalize", "title", "swapcase", "casefold" ->
          (arguments, meter) -> {
            arguments.only(name);
            meter.characters(self.length());
            return switch (name) {
              case "upper" -> Strings.upper(self);
              case "capitalize" -> Strings.capitalize(self);
              case "title" -> Strings.title(self, true);
              case "swapcase" -> swapCase(self);
              default -> Strings.lower(self);
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
      case "startswith", "endswith" ->
          (arguments, meter) -> affix(self, arguments.only(name, "affix"), name, meter);
      case "removeprefix" ->
          (arguments, meter) -> {
            String prefix = arguments.only(name, "prefix").string(0, "prefix");
            meter.characters(self.length());
            return self.startsWith(prefix) ? self.substring(prefix.length()) : self;
          };
      case "removesuffix" ->
          (arguments, meter) -> {
            String suffix = arguments.only(name, "suffix").string(0, "suffix");
            meter.characters(self.length());
            return self.endsWith(suffix)
                ? self.substring(0, self.length() - suffix.length())
                : self;
          };
      case "replace" ->
          (arguments, meter) -> {
            arguments.only(name, "old", "new", "count");
            return Strings.replace(
                self,
                arguments.string(0, "old"),
                arguments.string(1, "new"),
                arguments.integer(2, "count", -1),
                meter);
          };
      case "join" ->
          (arguments, meter) -> {
            Meter.Text out = meter.text();
            String separator = "";
            for (Object part :
                Values.elements(arguments.only(name, "iterable").get(0, "iterable"), meter)) {
              meter.step(1);
              out.add(separator).add(Values.requireString(part));
              separator = self;
            }
            return out.toString();
          };
      case "find", "rfind", "index", "rindex" ->
          (arguments, meter) -> {
            String part = arguments.only(name, "sub").string(0, "sub");
            meter.search(self.length(), part.length());
            int at = name.startsWith("r") ? self.lastIndexOf(part) : self.indexOf(part);
            if (at < 0 && name.endsWith("index")) {
              throw new TemplateException("substring not found");
            }
            return at < 0 ? -1L : (long) self.codePointCount(0, at);
          };
      case "count" ->
          (arguments, meter) -> {
            String part = arguments.only(name, "sub").string(0, "sub");
            meter.search(self.length(), part.length());
            long count = part.isEmpty() ? Values.length(self) + 1 : 0;
            for (int at = part.isEmpty() ? -1 : self.indexOf(part);
                at >= 0;
                at = self.indexOf(part, at + part.length())) {
              count++;
            }
            return count;
          };
      case "partition", "rpartition" ->
          (arguments, meter) -> partition(self, arguments.string(0, "sep"), name, meter);
      case "center", "ljust", "rjust", "zfill" ->
          (arguments, meter) -> pad(self, arguments, name, meter);
      case "isdigit", "isdecimal", "isnumeric" -> all(self, name, Character::isDigit);
      case "isalpha" -> all(self, name, Character::isLetter);
      case "isalnum" -> all(self, name, Character::isLetterOrDigit);
      case "isspace" -> all(self, name, Strings::isSpace);
      case "isupper" ->
          (arguments, meter) -> {
            meter.characters(self.length());
            return self.equals(Strings.upper(self)) && !self.equals(Strings.lower(self));
          };
      case "islower" ->
          (arguments, meter) -> {
            meter.characters(self.length());
            return self.equals(Strings.lower(self)) && !self.equals(Strings.upper(self));
          };
      case "format" -> (arguments, meter) -> BraceFormat.format(self, arguments, meter);
      default -> null;
    };
  }

  private static Callable all(String self, String name, IntPredicate holds) {
    return (arguments, meter) -> {
      arguments.only(name);
      meter.step(self.length() >> 3);
      return !self.isEmpty() && self.codePoints().allMatch(holds);
    };
  }

  private static boolean affix(String self, Arguments arguments, String name, Meter meter) {
    Object affix = arguments.get(0, "affix");
    List<Object> choices = affix instanceof Tuple tuple ? tuple : List.of(affix);
    for (Object choice : choices) {
      String text = Values.requireString(choice);
      meter.scan(text.length());
      if (name.equals("startswith") ? self.startsWith(text) : self.endsWith(text)) {
        return true;
      }
    }
    return false;
  }

  private static Tuple partition(String self, String separator, String name, Meter meter) {
    if (separator.isEmpty()) {
      throw new TemplateException("empty separator");
    }
    meter.search(self.length(), separator.length());
    meter.characters(32L + self.length());
    boolean last = name.equals("rpartition");
    int at = last ? self.lastIndexOf(separator) : self.indexOf(separator);
    if (at < 0) {
      return new Tuple(last ? List.of("", "", self) : List.of(self, "", ""));
    }
    return new Tuple(
        List.of(self.substring(0, at), separator, self.substring(at + separator.length())));
  }

  private static String pad(String self, Arguments arguments, String name, Meter meter) {
    boolean zeros = name.equals("zfill");
    arguments.only(name, "width", "fillchar");
    long missing = arguments.integer(0, "width", 0) - Values.length(self);
    String fill = zeros ? "0" : Values.requireString(arguments.get(1, "fillchar", " "));
    if (fill.codePointCount(0, fill.length()) != 1) {
      throw new TemplateException("The fill character must be exactly one character long");
    }
    Meter.Text out = meter.text();
    if (zeros && (self.startsWith("-") || self.startsWith("+"))) {
      return out.add(self.charAt(0)).repeat("0", missing).add(self.substring(1)).toString();
    }
    long width = arguments.integer(0, "width", 0);
    // Of an odd number of blanks, the reference puts the odd one first when the width is odd.
    long before =
        switch (name) {
          case "ljust" -> 0;
          case "center" -> missing / 2 + (missing & width & 1);
          default -> missing;
        };
    return out.repeat(fill, before).add(self).repeat(fill, missing - before).toString();
  }

  private static String swapCase(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints()
        .map(c -> Character.isUpperCase(c) ? Character.toLowerCase(c) : Character.toUpperCase(c))
        .forEach(out::appendCodePoint);
    return out.toString();
  }
}
