package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.template.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Splits a template into tokens, with the white space rules that chat templates are written for: a
 * line break after a block or comment is dropped ({@code trim_blocks}), blanks before one that
 * starts a line are dropped ({@code lstrip_blocks}), {@code -} drops all white space on its side
 * and {@code +} keeps it; one line break at the end of the source is dropped.
 */
final class Lexer {
  private static final Pattern RAW = Pattern.compile("\\s*raw\\s*(?:-%\\}\\s*|%\\})");
  private static final Pattern END_RAW =
      Pattern.compile("\\{%([-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\}\\n?)");
  private static final List<String> LONG_OPERATORS = List.of("**", "//", "==", "!=", "<=", ">=");
  private static final String OPERATORS = "+-*/%~[](){}<>=.:|,;";

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;

  private Lexer(String source) {
    this.source = source;
  }

  static List<Token> tokens(String source, Limits limits) {
    if (source.length() > limits.source()) {
      throw new TemplateException(
          "the template has "
              + source.length()
              + " characters, more than the limit of "
              + limits.source());
    }
    String text = plainLines(source);
    Lexer lexer = new Lexer(text.endsWith("\n") ? text.substring(0, text.length() - 1) : text);
    lexer.run();
    return lexer.tokens;
  }

  /** A source in which lines end alike: what the offsets of tokens count in. */
  static String plainLines(String source) {
    return source.replace("\r\n", "\n").replace('\r', '\n');
  }

  private void run() {
    boolean lineStart = true;
    while (position < source.length()) {
      int tag = nextTag(position);
      if (tag < 0) {
        text(position, source.length());
        position = source.length();
        break;
      }
      char kind = source.charAt(tag + 1);
      char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
      boolean signed = sign == '-' || sign == '+';
      int end = strippedEnd(position, tag, kind, sign, lineStart);
      text(position, end);
      position = tag + (signed ? 3 : 2);
      switch (kind) {
        case '#' -> comment();
        case '%' -> block(tag);
        default -> {
          add(Kind.VARIABLE_BEGIN, "{{", tag);
          expression(Kind.VARIABLE_END, "}}");
        }
      }
      lineStart = source.charAt(position - 1) == '\n';
    }
    add(Kind.END, "", source.length());
  }

  private int nextTag(int from) {
    for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  /** The end of the text before a tag when its white space is dropped as the tag asks. */
  private int strippedEnd(int from, int tag, char kind, char sign, boolean lineStart) {
    if (sign == '-') {
      int end = tag;
      while (end > from && Strings.isSpace(source.charAt(end - 1))) {
        end--;
      }
      return end;
    }
    if (sign != '+' && kind != '{') {
      int end = tag;
      while (end > from
          && source.charAt(end - 1) != '\n'
          && Strings.isSpace(source.charAt(end - 1))) {
        end--;
      }
      if (end == from ? lineStart : source.charAt(end - 1) == '\n') {
        return end;
      }
    }
    return tag;
  }

  private void text(int from, int to) {
    if (to > from) {
      add(Kind.TEXT, source.substring(from, to), from);
    }
  }

  private void comment() {
    int end = source.indexOf("#}", position);
    if (end < 0) {
      throw new TemplateException("a comment '{#' has no end '#}'", position);
    }
    char before = end > position ? source.charAt(end - 1) : ' ';
    position = end + 2;
    if (before == '-') {
      skipSpace();
    } else if (before != '+') {
      skipLineBreak();
    }
  }

  private void block(int tag) {
    Matcher raw = RAW.matcher(source).region(position, source.length());
    if (!raw.lookingAt()) {
      add(Kind.BLOCK_BEGIN, "{%", tag);
      expression(Kind.BLOCK_END, "%}");
      return;
    }
    Matcher end = END_RAW.matcher(source);
    if (!end.find(raw.end())) {
      throw new TemplateException("'{% raw %}' has no '{% endraw %}'", tag);
    }
    String sign = end.group(1);
    char signed = sign.isEmpty() ? ' ' : sign.charAt(0);
    text(raw.end(), strippedEnd(raw.end(), end.start(), '%', signed, false));
    position = end.end();
  }

  /** The tokens up to the end of the tag; within brackets, the tag's end is a pair of operators. */
  private void expression(Kind endKind, String end) {
    int brackets = 0;
    while (true) {
      skipSpace();
      int start = position;
      if (position >= source.length()) {
        throw new TemplateException("the template ends within a tag: no '" + end + "'", start);
      }
      char c = source.charAt(position);
      if (brackets == 0) {
        boolean minus = c == '-' && source.startsWith(end, position + 1);
        boolean plus = c == '+' && end.equals("%}") && source.startsWith(end, position + 1);
        if (minus || plus || source.startsWith(end, position)) {
          add(endKind, end, start);
          position += end.length() + (minus || plus ? 1 : 0);
          if (minus) {
            skipSpace();
          } else if (!plus && endKind == Kind.BLOCK_END) {
            skipLineBreak();
          }
          return;
        }
      }
      if (c == '\'' || c == '"') {
        string(c);
      } else if (c >= '0' && c <= '9') {
        number();
      } else if (c == '_' || Character.isUnicodeIdentifierStart(c)) {
        while (position < source.length()
            && (source.charAt(position) == '_'
                || Character.isUnicodeIdentifierPart(source.charAt(position)))) {
          position++;
        }
        add(Kind.NAME, source.substring(start, position), start);
      } else {
        String operator = operator();
        if ("([{".contains(operator)) {
          brackets++;
        } else if (")]}".contains(operator)) {
          brackets--;
          if (brackets < 0) {
            throw new TemplateException("unexpected '" + operator + "'", start);
          }
        }
        add(Kind.OPERATOR, operator, start);
      }
    }
  }

  private String operator() {
    for (String operator : LONG_OPERATORS) {
      if (source.startsWith(operator, position)) {
        position += 2;
        return operator;
      }
    }
    char c = source.charAt(position);
    if (OPERATORS.indexOf(c) < 0) {
      throw new TemplateException("unexpected character '" + c + "'", position);
    }
    position++;
    return String.valueOf(c);
  }

  private void number() {
    int start = position;
    String sign = source.substring(start, Math.min(start + 2, source.length()));
    int radix =
        switch (sign) {
          case "0x", "0X" -> 16;
          case "0o", "0O" -> 8;
          case "0b", "0B" -> 2;
          default -> 10;
        };
    if (radix != 10) {
      position += 2;
      digits(radix);
      integer(source.substring(start + 2, position), radix, start);
      return;
    }
    digits(10);
    boolean isFloat = false;
    if (isDigit(position + 1) && source.charAt(position) == '.') {
      position++;
      digits(10);
      isFloat = true;
    }
    if (position < source.length() && (source.charAt(position) | 32) == 'e') {
      boolean signed =
          position + 1 < source.length() && "+-".indexOf(source.charAt(position + 1)) >= 0;
      if (isDigit(position + (signed ? 2 : 1))) {
        position += signed ? 2 : 1;
        digits(10);
        isFloat = true;
      }
    }
    String text = source.substring(start, position);
    if (isFloat) {
      add(Kind.FLOAT, text.replace("_", ""), start);
    } else {
      integer(text, 10, start);
    }
  }

  private void integer(String digits, int radix, int start) {
    try {
      add(Kind.INTEGER, Long.toString(Long.parseLong(digits.replace("_", ""), radix)), start);
    } catch (NumberFormatException e) {
      throw new TemplateException("the integer " + digits + " is not one of 64 bits", start);
    }
  }

  private void digits(int radix) {
    while (position < source.length()
        && (Character.digit(source.charAt(position), radix) >= 0
            || source.charAt(position) == '_')) {
      position++;
    }
  }

  private boolean isDigit(int index) {
    return index < source.length() && source.charAt(index) >= '0' && source.charAt(index) <= '9';
  }

  private void string(char quote) {
    int start = position++;
    StringBuilder value = new StringBuilder();
    while (true) {
      if (position >= source.length()) {
        throw new TemplateException("a string has no end " + quote, start);
      }
      char c = source.charAt(position++);
      if (c == quote) {
        break;
      }
      if (c == '\\' && position < source.length()) {
        escape(value);
      } else {
        value.append(c);
      }
    }
    add(Kind.STRING, value.toString(), start);
  }

  private void escape(StringBuilder value) {
    char c = source.charAt(position++);
    switch (c) {
      case 'n' -> value.append('\n');
      case 't' -> value.append('\t');
      case 'r' -> value.append('\r');
      case 'b' -> value.append('\b');
      case 'f' -> value.append('\f');
      case 'a' -> value.append('\u0007');
      case 'v' -> value.append('\u000b');
      case '\\', '\'', '"' -> value.append(c);
      case '\n' -> {}
      case 'x' -> codePoint(value, 2);
      case 'u' -> codePoint(value, 4);
      case 'U' -> codePoint(value, 8);
      default -> {
        if (c < '0' || c > '7') {
          value.append('\\').append(c);
          return;
        }
        int octal = c - '0';
        for (int i = 0; i < 2 && position < source.length(); i++, position++) {
          int digit = Character.digit(source.charAt(position), 8);
          if (digit < 0) {
            break;
          }
          octal = octal * 8 + digit;
        }
        value.append((char) octal);
      }
    }
  }

  private void codePoint(StringBuilder value, int digits) {
    int code = 0;
    for (int i = 0; i < digits; i++) {
      int digit = position < source.length() ? Character.digit(source.charAt(position), 16) : -1;
      code = code * 16 + digit;
      if (digit < 0 || code > Character.MAX_CODE_POINT) {
        throw new TemplateException("a string has a bad character escape", position);
      }
      position++;
    }
    value.appendCodePoint(code);
  }

  private void skipSpace() {
    while (position < source.length() && Strings.isSpace(source.charAt(position))) {
      position++;
    }
  }

  private void skipLineBreak() {
    if (position < source.length() && source.charAt(position) == '\n') {
      position++;
    }
  }

  private void add(Kind kind, String text, int at) {
    tokens.add(new Token(kind, text, at));
  }
}
