package dev.knapsack.text.answer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.Optional;

/**
 * A reader of values as Python or Gemma's models write them: texts in quotes of three kinds,
 * numbers, constants, lists, and objects whose keys may be bare.
 */
final class Literals {
  /** The marks that Gemma's models put around a text, in which nothing is escaped. */
  static final String QUOTE = "<|\"|>";

  private static final int DEEPEST = 200;

  private final String text;
  private int at;
  private int depth;

  Literals(String text) {
    this.text = text;
  }

  /** Not what is expected there; caught by who began to read. */
  static final class Malformed extends Exception {
    Malformed() {
      super(null, null, false, false);
    }
  }

  boolean atEnd() {
    blanks();
    return at == text.length();
  }

  private void blanks() {
    while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
  }

  /** Reads this, if it is there. */
  boolean skip(String token) {
    blanks();
    boolean there = text.startsWith(token, at);
    at += there ? token.length() : 0;
    return there;
  }

  void expect(String token) throws Malformed {
    if (!skip(token)) {
      throw new Malformed();
    }
  }

  /** A name of a tool, a key, a constant. */
  String word() throws Malformed {
    blanks();
    int from = at;
    while (at < text.length()
        && (Character.isLetterOrDigit(text.charAt(at)) || "_.-+".indexOf(text.charAt(at)) >= 0)) {
      at++;
    }
    if (from == at) {
      throw new Malformed();
    }
    return text.substring(from, at);
  }

  JsonElement value() throws Malformed {
    if (++depth > DEEPEST) {
      throw new Malformed();
    }
    Optional<String> quoted = quoted();
    JsonElement value =
        quoted.isPresent()
            ? new JsonPrimitive(quoted.get())
            : skip("{") ? object() : skip("[") ? list() : constant(word());
    depth--;
    return value;
  }

  private static JsonElement constant(String word) throws Malformed {
    return switch (word) {
      case "true", "True" -> new JsonPrimitive(true);
      case "false", "False" -> new JsonPrimitive(false);
      case "null", "None" -> JsonNull.INSTANCE;
      default -> StrictJson.parse(word).orElseThrow(Malformed::new);
    };
  }

  private JsonObject object() throws Malformed {
    JsonObject object = new JsonObject();
    while (!skip("}")) {
      Optional<String> quoted = quoted();
      String key = quoted.isPresent() ? quoted.get() : word();
      expect(":");
      object.add(key, value());
      if (!skip(",")) {
        expect("}");
        break;
      }
    }
    return object;
  }

  private JsonArray list() throws Malformed {
    JsonArray list = new JsonArray();
    while (!skip("]")) {
      list.add(value());
      if (!skip(",")) {
        expect("]");
        break;
      }
    }
    return list;
  }

  private Optional<String> quoted() throws Malformed {
    if (skip(QUOTE)) {
      int end = text.indexOf(QUOTE, at);
      if (end < 0) {
        throw new Malformed();
      }
      String inner = text.substring(at, end);
      at = end + QUOTE.length();
      return Optional.of(inner);
    }
    return skip("\"")
        ? Optional.of(escaped('"'))
        : skip("'") ? Optional.of(escaped('\'')) : Optional.empty();
  }

  private String escaped(char quote) throws Malformed {
    StringBuilder inner = new StringBuilder();
    while (at < text.length()) {
      char c = text.charAt(at++);
      if (c == quote) {
        return inner.toString();
      }
      inner.append(c == '\\' && at < text.length() ? escape(text.charAt(at++)) : c);
    }
    throw new Malformed();
  }

  private char escape(char c) throws Malformed {
    return switch (c) {
      case 'n' -> '\n';
      case 't' -> '\t';
      case 'r' -> '\r';
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'u' -> {
        String digits = text.substring(at, Math.min(text.length(), at + 4));
        if (!digits.matches("[0-9a-fA-F]{4}")) {
          throw new Malformed();
        }
        at += 4;
        yield (char) Integer.parseInt(digits, 16);
      }
      default -> c;
    };
  }
}
