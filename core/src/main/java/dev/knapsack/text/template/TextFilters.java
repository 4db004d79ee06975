package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The filters that lay out a text, or write it for another reader. */
final class TextFilters {
  private static final MarkedText BLANK = MarkedText.input(" ");
  private static final MarkedText LINE_BREAK = MarkedText.input("\n");
  private static final MarkedText DOTS = MarkedText.input("...");

  private final Meter meter;

  TextFilters(Meter meter) {
    this.meter = meter;
  }

  /** The result of the filter of this name for a value; null if there is none here. */
  @Nullable Object apply(String name, Object value, Arguments arguments) {
    return switch (name) {
      case "trim" ->
          Strings.strip(
              text(value),
              arguments.only(name, "chars").get(0, "chars", None.NONE),
              true,
              true,
              meter);
      case "upper" -> Letters.upper(text(value), meter);
      case "lower" -> Letters.lower(text(value), meter);
      case "capitalize" -> Letters.capitalized(text(value), meter);
      case "title" -> Letters.titledWords(text(value), meter);
      case "replace" -> {
        arguments.only(name, "old", "new", "count");
        Object count = arguments.get(2, "count", None.NONE);
        yield Strings.replace(
            text(value),
            text(arguments.get(0, "old")),
            text(arguments.get(1, "new")),
            count == None.NONE ? -1 : Values.requireInteger(count),
            meter);
      }
      case "indent" -> indent(Values.requireText(value), arguments);
      case "escape", "e", "forceescape" -> escape(text(value));
      case "center" -> {
        Object width = arguments.only(name, "width").get(0, "width", 80L);
        yield StringMethods.center(text(value), Values.requireInteger(width), BLANK, meter);
      }
      case "format" -> {
        boolean byName = !arguments.named().isEmpty();
        if (byName && !arguments.positional().isEmpty()) {
          throw new TemplateException(
              "can't handle positional and keyword arguments at the same time");
        }
        yield PercentFormat.format(
            text(value),
            byName ? Globals.dict(arguments, meter) : new Tuple(arguments.positional()),
            meter);
      }
      case "truncate" -> truncate(value, arguments);
      case "wordcount" -> wordCount(text(value));
      case "wordwrap" -> wordWrap(Values.requireText(value), arguments);
      case "striptags" -> new Markup(text(value), meter).withoutTags();
      case "urlencode" -> urlEncode(value);
      case "xmlattr" -> attributes(value, arguments);
      case "filesizeformat" -> MarkedText.input(fileSize(value, arguments));
      case "pprint" -> new PrettyPrint(meter).write(value);
      default -> null;
    };
  }

  private MarkedText text(Object value) {
    return Representation.of(value, meter);
  }

  private MarkedText indent(MarkedText text, Arguments arguments) {
    arguments.only("indent", "width", "first", "blank");
    MarkedText blanks = Filters.indentation(arguments.get(0, "width", 4L), meter);
    boolean blank = arguments.flag(2, "blank", false);
    List<Object> lines = Strings.lines(meter.text().add(text).own('\n').build(), false, meter);
    Meter.Text out = meter.text();
    boolean indented = arguments.flag(1, "first", false);
    for (int i = 0; i < lines.size(); i++) {
      MarkedText line = (MarkedText) lines.get(i);
      if (i > 0) {
        out.own('\n');
      }
      // The first line is indented even when it is empty, the others only when asked.
      if (i == 0 ? indented : blank || !line.isEmpty()) {
        out.add(blanks);
      }
      out.add(line);
    }
    return out.build();
  }

  MarkedText escape(MarkedText text) {
    meter.scan(text.length());
    Meter.Text out = meter.text();
    for (int from = 0; from < text.length(); ) {
      int end = text.runEnd(from);
      boolean control = text.isControl(from, end);
      for (; from < end; from++) {
        char c = text.charAt(from);
        switch (c) {
          case '&' -> out.add("&amp;", control);
          case '<' -> out.add("&lt;", control);
          case '>' -> out.add("&gt;", control);
          case '"' -> out.add("&#34;", control);
          case '\'' -> out.add("&#39;", control);
          default -> out.add(c, control);
        }
      }
    }
    return out.build();
  }

  private Object truncate(Object value, Arguments arguments) {
    arguments.only("truncate", "length", "killwords", "end", "leeway");
    long length = arguments.integer(0, "length", 255);
    MarkedText end = Values.requireText(arguments.get(2, "end", DOTS));
    Object leeway = arguments.get(3, "leeway", None.NONE);
    long more = leeway == None.NONE ? 5 : Values.requireInteger(leeway);
    long least = Values.length(end, meter);
    if (length < least) {
      throw new TemplateException("expected length >= " + least + ", got " + length);
    }
    if (more < 0) {
      throw new TemplateException("expected leeway >= 0, got " + more);
    }
    if (Values.length(value, meter) <= length + more) {
      return value;
    }
    MarkedText cut = Strings.slice(Values.requireText(value), 0, length - least, meter);
    int word = arguments.flag(1, "killwords", false) ? -1 : cut.text().lastIndexOf(' ');
    return meter.text().add(cut, 0, word < 0 ? cut.length() : word).add(end).build();
  }

  /** Runs of letters, digits and underscores. */
  private long wordCount(MarkedText text) {
    meter.step(text.length() >> 3);
    long count = 0;
    boolean inWord = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.text().codePointAt(i);
      boolean word = isWord(c);
      count += word && !inWord ? 1 : 0;
      inWord = word;
      i += Character.charCount(c);
    }
    return count;
  }

  static boolean isWord(int c) {
    return c == '_'
        || Character.isLetter(c)
        || switch (Character.getType(c)) {
          case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
              true;
          default -> false;
        };
  }

  private MarkedText wordWrap(MarkedText text, Arguments arguments) {
    arguments.only("wordwrap", "width", "break_long_words", "wrapstring", "break_on_hyphens");
    Object given = arguments.get(2, "wrapstring", None.NONE);
    MarkedText lineBreak = given == None.NONE ? LINE_BREAK : Values.requireText(given);
    WordWrap wrap =
        new WordWrap(
            arguments.integer(0, "width", 79),
            arguments.flag(1, "break_long_words", true),
            arguments.flag(3, "break_on_hyphens", true),
            meter);
    Meter.Text out = meter.text();
    boolean first = true;
    for (Object paragraph : Strings.lines(text, false, meter)) {
      if (!first) {
        out.add(lineBreak);
      }
      first = false;
      out.add(Strings.join(lineBreak, wrap.lines((MarkedText) paragraph), meter));
    }
    return out.build();
  }

  private MarkedText urlEncode(Object value) {
    Meter.Text out = meter.text();
    if (value instanceof MarkedText || Values.isNumber(value) || value == None.NONE) {
      quote(text(value), false, out);
      return out.build();
    }
    String separator = "";
    List<Object> pairs =
        value instanceof Map<?, ?>
            ? Attributes.items(Values.requireMap(value), meter)
            : Values.elements(value, meter);
    for (Object pair : pairs) {
      List<Object> parts = Values.elements(pair, meter);
      if (parts.size() != 2) {
        throw new TemplateException("urlencode needs pairs of a name and a value");
      }
      out.own(separator);
      quote(text(parts.get(0)), true, out);
      out.own('=');
      quote(text(parts.get(1)), true, out);
      separator = "&";
    }
    return out.build();
  }

  private void quote(MarkedText text, boolean query, Meter.Text out) {
    meter.step(text.length() >> 3);
    HexFormat hex = HexFormat.of().withUpperCase();
    for (int from = 0; from < text.length(); ) {
      int end = text.runEnd(from);
      boolean control = text.isControl(from, end);
      while (from < end) {
        int c = text.text().codePointAt(from);
        from += Character.charCount(c);
        boolean safe =
            c < 0x80
                && (Character.isLetterOrDigit(c) || "_.-~".indexOf(c) >= 0 || (c == '/' && !query));
        if (safe) {
          out.add((char) c, control);
        } else if (c == ' ' && query) {
          out.add('+', control);
        } else {
          for (byte b : Character.toString(c).getBytes(StandardCharsets.UTF_8)) {
            out.add('%', control).add(hex.toHexDigits(b), control);
          }
        }
      }
    }
  }

  private MarkedText attributes(Object value, Arguments arguments) {
    boolean space = arguments.only("xmlattr", "autospace").flag(0, "autospace", true);
    Meter.Text out = meter.text();
    for (Map.Entry<Object, Object> entry : Values.requireMap(value).entrySet()) {
      meter.step(1);
      if (entry.getValue() == None.NONE || entry.getValue() instanceof Undefined) {
        continue;
      }
      MarkedText key = text(entry.getKey());
      meter.scan(key.length());
      if (key.text()
          .chars()
          .anyMatch(c -> (c < 0x80 && Strings.isSpace(c)) || "/>=".indexOf(c) >= 0)) {
        throw new TemplateException("Invalid character in attribute name: " + key);
      }
      if (space || out.length() > 0) {
        out.own(' ');
      }
      out.add(escape(key)).own("=\"").add(escape(text(entry.getValue()))).own('"');
    }
    return out.build();
  }

  private String fileSize(Object value, Arguments arguments) {
    boolean binary = arguments.only("filesizeformat", "binary").flag(0, "binary", false);
    double bytes = Filters.number(value, meter);
    int base = binary ? 1024 : 1000;
    if (bytes == 1) {
      return "1 Byte";
    }
    if (bytes < base) {
      return (long) bytes + " Bytes";
    }
    String prefixes = "kMGTPEZY";
    double unit = base;
    int at = -1;
    do {
      at++;
      unit *= base;
    } while (bytes >= unit && at + 1 < prefixes.length());
    String prefix =
        binary ? Character.toUpperCase(prefixes.charAt(at)) + "iB" : prefixes.charAt(at) + "B";
    return Numbers.decimal(base * bytes / unit, 'f', 1, false, meter) + " " + prefix;
  }
}
