package dev.knapsack.text.answer;

import java.util.ArrayList;
import java.util.List;

/**
 * A scan of a JSON object or list that comes character by character, as strict as the standard (RFC
 * 8259).
 */
final class JsonScan {
  /** States between tokens, and within them. */
  private enum At {
    VALUE,
    FIRST_VALUE,
    KEY,
    FIRST_KEY,
    COLON,
    BEHIND,
    STRING,
    ESCAPE,
    HEX,
    WORD,
    MINUS,
    ZERO,
    DIGITS,
    POINT,
    FRACTION,
    EXPONENT,
    SIGN,
    POWER
  }

  private static final List<String> WORDS = List.of("true", "false", "null");

  /** The key of the member that is read in each object that is open, or nothing for a list. */
  private final List<String> keys = new ArrayList<>();

  private final StringBuilder open = new StringBuilder();
  private final StringBuilder token = new StringBuilder();
  private At at = At.VALUE;
  private boolean key;
  private int hex;
  private boolean begun;

  /** Objects and lists that are open. */
  int depth() {
    return open.length();
  }

  /** Says whether the whole value has come. */
  boolean isComplete() {
    return begun && open.isEmpty();
  }

  /** Says whether what comes next is a value, or a blank before one. */
  boolean expectsValue() {
    return at == At.VALUE || at == At.FIRST_VALUE;
  }

  /**
   * The key whose value is read in the object that is open at a depth, as it is written between its
   * quotes; empty in a list.
   *
   * @param depth 1 for the outermost
   */
  String key(int depth) {
    return keys.get(depth - 1);
  }

  /** Takes the next character of a value that is not complete; false if no JSON goes on so. */
  boolean next(char c) {
    return switch (at) {
      case STRING -> string(c);
      case ESCAPE -> escape(c);
      case HEX -> {
        at = --hex == 0 ? At.STRING : At.HEX;
        yield Character.digit(c, 16) >= 0 && c < 128;
      }
      case WORD -> word(c);
      case MINUS -> digit(c, At.ZERO, At.DIGITS);
      case ZERO -> continues(c) ? number(c) : ended(c);
      case DIGITS -> isDigit(c) || (continues(c) ? number(c) : ended(c));
      case POINT -> digit(c, At.FRACTION, At.FRACTION);
      case FRACTION -> isDigit(c) || ((c != '.' && continues(c)) ? number(c) : ended(c));
      case EXPONENT -> {
        boolean sign = c == '+' || c == '-';
        at = sign ? At.SIGN : at;
        yield sign || digit(c, At.POWER, At.POWER);
      }
      case SIGN -> digit(c, At.POWER, At.POWER);
      case POWER -> isDigit(c) || ended(c);
      case VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, BEHIND -> isBlank(c) || token(c);
    };
  }

  private static boolean isBlank(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private boolean token(char c) {
    return switch (at) {
      case FIRST_VALUE -> c == ']' ? close('[') : value(c);
      case VALUE -> value(c);
      case FIRST_KEY -> c == '}' ? close('{') : begin(c);
      case KEY -> begin(c);
      case COLON -> {
        at = At.VALUE;
        yield c == ':';
      }
      default -> behind(c);
    };
  }

  /** Begins a key. */
  private boolean begin(char c) {
    key = true;
    token.setLength(0);
    at = At.STRING;
    return c == '"';
  }

  private boolean value(char c) {
    boolean nested = c == '{' || c == '[';
    if (open.isEmpty() && !nested) {
      return false;
    }
    begun = true;
    token.setLength(0);
    if (nested) {
      open.append(c);
      keys.add("");
      at = c == '{' ? At.FIRST_KEY : At.FIRST_VALUE;
      return true;
    }
    if (c == '"') {
      key = false;
      at = At.STRING;
      return true;
    }
    if (c == '-') {
      at = At.MINUS;
      return true;
    }
    if (isDigit(c)) {
      at = c == '0' ? At.ZERO : At.DIGITS;
      return true;
    }
    at = At.WORD;
    return word(c);
  }

  private boolean string(char c) {
    if (c == '"') {
      at = key ? At.COLON : At.BEHIND;
      if (key) {
        keys.set(depth() - 1, token.toString());
      }
      return true;
    }
    if (key) {
      token.append(c);
    }
    at = c == '\\' ? At.ESCAPE : At.STRING;
    return c >= ' ';
  }

  private boolean escape(char c) {
    if (key) {
      token.append(c);
    }
    at = c == 'u' ? At.HEX : At.STRING;
    hex = 4;
    return "\"\\/bfnrtu".indexOf(c) >= 0;
  }

  private boolean word(char c) {
    token.append(c);
    String begun = token.toString();
    if (WORDS.contains(begun)) {
      at = At.BEHIND;
    }
    return WORDS.stream().anyMatch(w -> w.startsWith(begun));
  }

  private boolean digit(char c, At zero, At other) {
    at = c == '0' ? zero : other;
    return isDigit(c);
  }

  /** Says whether what follows a digit is a fraction, or an exponent. */
  private static boolean continues(char c) {
    return c == '.' || c == 'e' || c == 'E';
  }

  private boolean number(char c) {
    at = c == '.' ? At.POINT : At.EXPONENT;
    return true;
  }

  /** A number has ended before this character. */
  private boolean ended(char c) {
    at = At.BEHIND;
    return isBlank(c) || behind(c);
  }

  private boolean behind(char c) {
    boolean object = open.charAt(open.length() - 1) == '{';
    if (c == ',') {
      at = object ? At.KEY : At.VALUE;
      return true;
    }
    return object ? c == '}' && close('{') : c == ']' && close('[');
  }

  private boolean close(char opening) {
    int last = open.length() - 1;
    boolean same = open.charAt(last) == opening;
    open.setLength(last);
    keys.removeLast();
    at = At.BEHIND;
    return same;
  }
}
