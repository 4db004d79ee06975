package dev.knapsack.text;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression of Oniguruma in Ruby's syntax, as {@code tokenizer.json} has them, written
 * for {@link Pattern}.
 *
 * <p>They differ in what {@code ^ $ . \h (?m)} mean, in {@code {,n}} and {@code {n,m}+}, in POSIX
 * brackets, in names of properties, and in how far an option reaches.
 */
final class OnigPattern {
  private static final List<String> OPENINGS = List.of("?:", "?=", "?!", "?>", "?<=", "?<!", "?<");

  private static final Set<String> LOOKS_BEHIND = Set.of("?<=", "?<!");

  /**
   * Nothing, but with a character of two units: Java looks behind by whole characters where the
   * expression has one, and otherwise by units.
   */
  private static final String SUPPLEMENTARY = "(?:\uD800\uDC00){0}";

  private static final String WORD = "\\p{IsAlphabetic}\\p{M}\\p{Nd}\\p{Pc}";

  /** Characters that are of words too, but not where they stand in a class. */
  private static final String WORD_TOO = "\\xB2\\xB3\\xB9\\xBC\\xBD\\xBE";

  private final String source;
  private final StringBuilder out = new StringBuilder();

  /** The beginning in {@link #out} of the item that a quantifier may follow. */
  private int item;

  private int at;

  private OnigPattern(String source) {
    this.source = source;
  }

  /**
   * Compiles an expression.
   *
   * @throws PatternSyntaxException if it is none, or has what Java's cannot do
   */
  static Pattern compile(String source) {
    String translated = new OnigPattern(source).translate();
    return Pattern.compile(
        translated, Pattern.UNICODE_CHARACTER_CLASS | Pattern.MULTILINE | Pattern.UNIX_LINES);
  }

  private static final class Group {
    final int start;

    /** Brackets to close at its end: options reach that far. */
    int more;

    Group(int start) {
      this.start = start;
    }
  }

  private String translate() {
    Deque<Group> groups = new ArrayDeque<>();
    groups.push(new Group(0));
    while (at < source.length()) {
      char c = source.charAt(at);
      switch (c) {
        case '\\' -> {
          item = out.length();
          escape(false);
        }
        case '[' -> {
          item = out.length();
          characterClass();
        }
        case '(' -> group(groups);
        case ')' -> {
          if (groups.size() == 1) {
            throw new PatternSyntaxException("a bracket that closes nothing", source, at);
          }
          Group group = groups.pop();
          out.append(")".repeat(group.more + 1));
          item = group.start;
          at++;
        }
        case '{' -> interval();
        case '*', '+', '?' -> {
          out.append(c);
          at++;
          if (at < source.length() && "?+".indexOf(source.charAt(at)) >= 0) {
            out.append(source.charAt(at++));
          }
        }
        default -> {
          int character = source.codePointAt(at);
          item = out.length();
          if (character == '}' || character == ']') {
            out.append('\\');
          }
          out.appendCodePoint(character);
          at += Character.charCount(character);
        }
      }
    }
    out.append(")".repeat(groups.element().more));
    return out.toString();
  }

  private void group(Deque<Group> groups) {
    if (source.startsWith("(?#", at)) {
      int end = source.indexOf(')', at);
      at = end < 0 ? source.length() : end + 1;
      return;
    }
    int option = options(at);
    if (option < 0) {
      groups.push(new Group(out.length()));
      out.append(source.charAt(at++));
      if (source.startsWith("?", at)) {
        String opening =
            OPENINGS.stream()
                .filter(o -> source.startsWith(o, at))
                .findFirst()
                .orElseThrow(() ->
                    new PatternSyntaxException(
                        "a group of a kind that is not supported", source, at));
        out.append(opening);
        if (LOOKS_BEHIND.contains(opening)) {
          out.append(SUPPLEMENTARY);
        }
        at += opening.length();
      }
      return;
    }
    String flags = source.substring(at + 2, option).replace("m", "s");
    boolean reachesOn = source.charAt(option) == ')';
    if (reachesOn) {
      groups.element().more++;
    } else {
      groups.push(new Group(out.length()));
    }
    out.append("(?").append(flags).append(':');
    at = option + 1;
  }

  /** The end of a group's options, at a colon or a closing bracket; -1 if it has none. */
  private int options(int from) {
    if (!source.startsWith("(?", from)) {
      return -1;
    }
    int end = from + 2;
    while (end < source.length() && "imx-".indexOf(source.charAt(end)) >= 0) {
      end++;
    }
    return end > from + 2 && end < source.length() && ":)".indexOf(source.charAt(end)) >= 0
        ? end
        : -1;
  }

  private void interval() {
    int end = source.indexOf('}', at);
    String inside = end < 0 ? "" : source.substring(at + 1, end);
    if (!inside.matches("\\d+|\\d+,\\d*|,\\d+")) {
      item = out.length();
      out.append("\\{");
      at++;
      return;
    }
    at = end + 1;
    String counts = inside.startsWith(",") ? "0" + inside : inside;
    char next = at < source.length() ? source.charAt(at) : 0;
    if (next == '+' || (next == '?' && !inside.contains(","))) {
      // In Ruby an interval has no possessive form: it is an interval over and over.
      out.insert(item, "(?:");
      out.append('{').append(counts).append("})").append(next);
      at++;
    } else {
      out.append('{').append(counts).append('}');
      if (next == '?') {
        out.append(next);
        at++;
      }
    }
  }

  private void escape(boolean inClass) {
    if (at + 1 == source.length()) {
      throw new PatternSyntaxException("a backslash at the end", source, at);
    }
    int c = source.codePointAt(at + 1);
    switch (c) {
      case 'h' -> out.append("[0-9a-fA-F]");
      case 'H' -> out.append("[^0-9a-fA-F]");
      case 'w' -> out.append(inClass ? WORD : "[" + WORD + WORD_TOO + "]");
      case 'W' -> out.append("[^").append(WORD).append(inClass ? "]" : WORD_TOO + "]");
      case 'b' -> out.append(inClass ? "\\x08" : edge("!", "="));
      case 'B' -> out.append(inClass ? "B" : edge("=", "!"));
      case 'O' -> out.append("(?s:.)");
      case 'N' -> out.append("[^\\n]");
      case 'p', 'P' -> {
        if (at + 2 < source.length() && source.charAt(at + 2) == '{') {
          property(inClass);
          return;
        }
        out.appendCodePoint(c);
      }
      case 'K', 'y', 'Y', 'g' -> {
        if (!inClass) {
          throw new PatternSyntaxException("\\" + (char) c + " is not supported", source, at);
        }
        out.appendCodePoint(c);
      }
      case 'x' -> {
        int end = source.startsWith("{", at + 2) ? source.indexOf('}', at) : -1;
        out.append(source, at, Math.max(at + 2, end + 1));
        at = Math.max(at, end - 1);
      }
      default -> {
        boolean known =
            !Character.isLetter(c)
                || (inClass ? "dDsSnrtfaeuc" : "dDsSnrtfaeucAzZGRXk").indexOf(c) >= 0;
        if (c == 'v') {
          out.append("\\x0B");
        } else if (known) {
          out.append('\\').appendCodePoint(c);
        } else {
          out.appendCodePoint(c);
        }
      }
    }
    at += 1 + Character.charCount(c);
  }

  /**
   * A place between characters that are of words and others, or else between two that are alike.
   */
  private static String edge(String afterWord, String afterOther) {
    String word = "[" + WORD + WORD_TOO + "]";
    String before = SUPPLEMENTARY + word;
    return "(?:(?<=%s)(?%s%s)|(?<!%s)(?%s%s))"
        .formatted(before, afterWord, word, before, afterOther, word);
  }

  private void property(boolean inClass) {
    int end = source.indexOf('}', at);
    if (end < 0) {
      throw new PatternSyntaxException("a property without an end", source, at);
    }
    String name = source.substring(at + 3, end);
    boolean negated = source.charAt(at + 1) == 'P';
    if (name.startsWith("^")) {
      negated = !negated;
      name = name.substring(1);
    }
    // Letters of a case are that also where case is ignored.
    out.append(inClass ? "" : "(?-i:").append(property(name, negated, false, inClass));
    out.append(inClass ? "" : ")");
    at = end + 1;
  }

  private static String property(String name, boolean negated, boolean bracket, boolean inClass) {
    String plain = name.toLowerCase(Locale.ROOT).replaceAll("[ _-]", "");
    String inside =
        switch (plain) {
          case "alnum" -> "\\p{IsAlphabetic}\\p{Nd}";
          case "alpha", "alphabetic" -> "\\p{IsAlphabetic}";
          case "ascii" -> "\\x00-\\x7F";
          case "blank" -> "\\p{Zs}\\t";
          case "cntrl" -> "\\p{Cc}";
          case "digit" -> "\\p{Nd}";
          case "graph" -> "\\p{IsGraph}";
          case "lower", "lowercase" -> "\\p{IsLowercase}";
          case "print" -> "\\p{IsGraph}\\p{Zs}";
          case "punct" -> bracket ? "\\p{P}\\p{S}" : "\\p{P}";
          case "punctuation" -> "\\p{P}";
          case "space", "whitespace" -> "\\s";
          case "upper", "uppercase" -> "\\p{IsUppercase}";
          case "xdigit" -> "0-9A-Fa-f";
          case "word" -> bracket || inClass ? WORD : WORD + WORD_TOO;
          case "any" -> "\\x{0}-\\x{10FFFF}";
          case "letter" -> "\\p{L}";
          case "mark" -> "\\p{M}";
          case "number" -> "\\p{N}";
          case "symbol" -> "\\p{S}";
          case "separator" -> "\\p{Z}";
          case "other" -> "\\p{C}";
          case "casedletter" -> "\\p{LC}";
          case "lowercaseletter" -> "\\p{Ll}";
          case "uppercaseletter" -> "\\p{Lu}";
          case "titlecaseletter" -> "\\p{Lt}";
          case "modifierletter" -> "\\p{Lm}";
          case "otherletter" -> "\\p{Lo}";
          case "decimalnumber" -> "\\p{Nd}";
          case "letternumber" -> "\\p{Nl}";
          case "othernumber" -> "\\p{No}";
          case "nonspacingmark" -> "\\p{Mn}";
          case "spacingmark" -> "\\p{Mc}";
          case "enclosingmark" -> "\\p{Me}";
          default -> {
            if (plain.length() <= 2) {
              String category = plain.substring(0, 1).toUpperCase(Locale.ROOT) + plain.substring(1);
              yield "\\p{" + (category.equals("Lc") ? "LC" : category) + "}";
            }
            yield "\\p{Is" + name.replaceAll("[ -]", "_") + "}";
          }
        };
    return (negated ? "[^" : "[") + inside + "]";
  }

  private void characterClass() {
    out.append(source.charAt(at++));
    if (at < source.length() && source.charAt(at) == '^') {
      out.append(source.charAt(at++));
    }
    boolean first = true;
    while (true) {
      if (at >= source.length()) {
        throw new PatternSyntaxException("a class without an end", source, at);
      }
      char c = source.charAt(at);
      if (c == ']' && !first) {
        out.append(c);
        at++;
        return;
      }
      first = false;
      if (c == '\\') {
        escape(true);
      } else if (source.startsWith("[:", at) && source.indexOf(":]", at) > 0) {
        int end = source.indexOf(":]", at);
        String name = source.substring(at + 2, end);
        boolean negated = name.startsWith("^");
        out.append(property(negated ? name.substring(1) : name, negated, true, true));
        at = end + 2;
      } else if (c == '[') {
        characterClass();
      } else if (source.startsWith("&&", at)) {
        out.append("&&");
        at += 2;
      } else {
        int character = source.codePointAt(at);
        if (c == ']' || c == '&' || c == '^') {
          out.append('\\');
        }
        out.appendCodePoint(character);
        at += Character.charCount(character);
      }
    }
  }
}
