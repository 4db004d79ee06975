package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A reader of grammars as llama.cpp writes them (GBNF): rules {@code name ::= …} of texts in
 * quotes, classes of characters, names, groups, alternatives and repetitions.
 *
 * <p>A rule that begins with itself is refused: it would go on for ever without reading.
 */
final class Grammar {
  private static final String ROOT = "root";

  /** Groups within groups. */
  private static final int DEEPEST = 500;

  private static final int END = -1;

  private final Terms terms;
  private final int[] text;
  private int at;
  private int depth;

  /** Names that are referred to, and where first. */
  private final Map<String, Integer> used = new LinkedHashMap<>();

  private Grammar(Terms terms, String gbnf) {
    this.terms = terms;
    this.text = gbnf.codePoints().toArray();
  }

  /**
   * The texts of a grammar's rule {@code root}.
   *
   * @throws ConstraintException if it cannot be read: names line and column
   */
  static Term term(Terms terms, String gbnf) {
    Grammar grammar = new Grammar(terms, gbnf);
    grammar.rules();
    return terms.reference(ROOT);
  }

  private void rules() {
    blanks(true);
    while (peek() != END) {
      int begin = at;
      String name = name();
      if (name.isEmpty()) {
        throw error("a rule begins with its name, of letters, digits, '-' and '_'", begin);
      }
      blanks(false);
      for (char c : "::=".toCharArray()) {
        if (peek() != c) {
          throw error("'::=' must follow the name of rule '" + name + "'", at);
        }
        at++;
      }
      blanks(true);
      Term body = alternatives(false);
      if (terms.isDefined(name)) {
        throw error("rule '" + name + "' is there twice; write alternatives with '|'", begin);
      }
      terms.define(name, body);
      if (peek() != END && peek() != '\n') {
        throw error("'%s' cannot stand here".formatted(Character.toString(peek())), at);
      }
      blanks(true);
    }
    if (!terms.isDefined(ROOT)) {
      throw error("no rule is named 'root'; an answer is a text of that", 0);
    }
    used.forEach((name, place) -> {
      if (!terms.isDefined(name)) {
        throw error("no rule is named '" + name + "'", place);
      }
    });
  }

  /**
   * @param nested within parentheses, where lines may end
   */
  private Term alternatives(boolean nested) {
    List<Term> options = new ArrayList<>();
    options.add(sequence(nested));
    while (skipBlanksBefore('|', nested)) {
      at++;
      blanks(true);
      options.add(sequence(nested));
    }
    return terms.choice(options);
  }

  /** Goes to a character behind blanks, also on the next line, if it is there. */
  private boolean skipBlanksBefore(char wanted, boolean nested) {
    int before = at;
    blanks(true);
    boolean there = peek() == wanted;
    if (!there && !nested) {
      at = before;
    }
    return there;
  }

  private Term sequence(boolean nested) {
    List<Term> parts = new ArrayList<>();
    while (true) {
      Optional<Term> item = item();
      if (item.isEmpty()) {
        return terms.sequence(parts);
      }
      blanks(nested);
      parts.add(repeated(item.get(), nested));
    }
  }

  /** The item that a repetition may follow; empty where none begins. */
  private Optional<Term> item() {
    int begin = at;
    return switch (peek()) {
      case '"' -> Optional.of(literal());
      case '[' -> Optional.of(terms.character(characters()));
      case '.' -> {
        at++;
        yield Optional.of(terms.character(CodePoints.ALL));
      }
      case '(' -> Optional.of(group());
      default -> {
        String name = name();
        if (name.isEmpty()) {
          yield Optional.empty();
        }
        used.putIfAbsent(name, begin);
        yield Optional.of(terms.reference(name));
      }
    };
  }

  private Term group() {
    int begin = at;
    if (++depth > DEEPEST) {
      throw error("groups stand in each other more than " + DEEPEST + " deep", at);
    }
    at++;
    blanks(true);
    Term inner = alternatives(true);
    if (peek() != ')') {
      throw error("this '(' has no ')'", begin);
    }
    at++;
    depth--;
    return inner;
  }

  private Term repeated(Term item, boolean nested) {
    Term result = item;
    while (true) {
      switch (peek()) {
        case '*' -> result = terms.repeat(result, 0, -1);
        case '+' -> result = terms.repeat(result, 1, -1);
        case '?' -> result = terms.repeat(result, 0, 1);
        case '{' -> result = counted(result);
        default -> {
          return result;
        }
      }
      at++;
      blanks(nested);
    }
  }

  /** Reads up to the closing brace. */
  private Term counted(Term item) {
    int begin = at++;
    blanks(false);
    int least = number(begin);
    int most = least;
    blanks(false);
    if (peek() == ',') {
      at++;
      blanks(false);
      most = peek() == '}' ? -1 : number(begin);
      blanks(false);
    }
    if (peek() != '}' || (most >= 0 && most < least)) {
      throw error("a count is {m}, {m,} or {m,n}, the smaller first", begin);
    }
    return terms.repeat(item, least, most);
  }

  private int number(int begin) {
    long number = 0;
    int from = at;
    while (peek() >= '0' && peek() <= '9' && number <= Integer.MAX_VALUE) {
      number = number * 10 + peek() - '0';
      at++;
    }
    if (at == from || number > Integer.MAX_VALUE) {
      throw error("a count is {m}, {m,} or {m,n}, of numbers below 2^31", begin);
    }
    return (int) number;
  }

  private Term literal() {
    int begin = at++;
    StringBuilder exact = new StringBuilder();
    while (peek() != '"') {
      exact.appendCodePoint(character(begin));
    }
    at++;
    return terms.text(exact.toString());
  }

  private CodePoints characters() {
    int begin = at++;
    boolean negated = peek() == '^';
    at += negated ? 1 : 0;
    CodePoints set = CodePoints.NONE;
    while (peek() != ']') {
      int from = character(begin);
      int to = from;
      if (peek() == '-' && at + 1 < text.length && text[at + 1] != ']') {
        at++;
        to = character(begin);
        if (to < from) {
          throw error("a range has its smaller character first", begin);
        }
      }
      set = set.or(CodePoints.range(from, to));
    }
    at++;
    return negated ? set.complement() : set;
  }

  /** One character of a text or a class, which began there. */
  private int character(int begin) {
    int c = peek();
    if (c == END || c == '\n') {
      throw error("what begins here has no end on its line", begin);
    }
    at++;
    if (c != '\\') {
      return c;
    }
    int escaped = peek();
    at++;
    return switch (escaped) {
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'x' -> hexadecimal(2);
      case 'u' -> hexadecimal(4);
      case 'U' -> hexadecimal(8);
      case '\\', '"', '[', ']', '-', '^', '/' -> escaped;
      default ->
          throw error(
              "no character is escaped so; give \\n, \\r, \\t, \\xHH, \\uHHHH, \\UHHHHHHHH, \\\\,"
                  + " \\\", \\[ or \\]",
              at - 2);
    };
  }

  private int hexadecimal(int digits) {
    int begin = at;
    long value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = peek() == END ? -1 : Character.digit(peek(), 16);
      if (digit < 0) {
        throw error(digits + " hexadecimal digits must stand here", begin);
      }
      value = value * 16 + digit;
      at++;
    }
    if (value > Character.MAX_CODE_POINT || (value >= 0xD800 && value <= 0xDFFF)) {
      throw error("%X is no character".formatted(value), begin);
    }
    return (int) value;
  }

  private String name() {
    StringBuilder name = new StringBuilder();
    while (isNamed(peek())) {
      name.appendCodePoint(text[at++]);
    }
    return name.toString();
  }

  private static boolean isNamed(int c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || c == '-'
        || c == '_';
  }

  /** Skips blanks and comments. */
  private void blanks(boolean lines) {
    while (true) {
      int c = peek();
      if (c == '#') {
        while (peek() != END && peek() != '\n') {
          at++;
        }
      } else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')) {
        at++;
      } else {
        return;
      }
    }
  }

  private int peek() {
    return at < text.length ? text[at] : END;
  }

  private ConstraintException error(String problem, int place) {
    int line = 1;
    int column = 1;
    for (int i = 0; i < Math.min(place, text.length); i++) {
      column = text[i] == '\n' ? 1 : column + 1;
      line += text[i] == '\n' ? 1 : 0;
    }
    return new ConstraintException("grammar, line " + line + ", column " + column, problem + ".");
  }
}
