package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.List;

/** Reads a regular expression as ECMAScript writes it, with its Unicode escapes. */
final class RegexParser {
  private static final int DEEPEST = 200;
  private static final int MOST = 1_000_000;

  private static final CodePoints DIGIT = CodePoints.range('0', '9');
  private static final CodePoints WORD =
      DIGIT.or(CodePoints.range('A', 'Z')).or(CodePoints.range('a', 'z')).or(CodePoints.of('_'));

  /** Blanks in all dialects, and in any. */
  private static final CodePoints FEW_SPACES = CodePoints.of(" \t\n\u000B\f\r");

  private static final CodePoints ALL_SPACES =
      FEW_SPACES
          .or(CodePoints.range(0x1C, 0x1F))
          .or(CodePoints.of(0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF))
          .or(CodePoints.range(0x2000, 0x200A));

  /** Ends of lines in any dialect, and in all. */
  private static final CodePoints ALL_LINES = CodePoints.of(0x0A, 0x0D, 0x85, 0x2028, 0x2029);

  private static final CodePoints FEW_LINES = CodePoints.of('\n');

  private final String pattern;
  private final int[] characters;
  private boolean wide;
  private int at;
  private int depth;

  /**
   * @param wide true to stand for what any dialect takes, false for what all of them take
   */
  RegexParser(String pattern, boolean wide) {
    this.pattern = pattern;
    this.characters = pattern.codePoints().toArray();
    this.wide = wide;
  }

  Regex parse() {
    Regex all = alternatives();
    if (at < characters.length) {
      throw refuse("')' without '('");
    }
    return all;
  }

  private Regex alternatives() {
    if (++depth > DEEPEST) {
      throw refuse("groups in groups, more than %d of them; write it flatter".formatted(DEEPEST));
    }
    List<Regex> options = new ArrayList<>();
    do {
      options.add(sequence());
    } while (take('|'));
    depth--;
    return options.size() == 1 ? options.getFirst() : new Regex.Choice(options);
  }

  private Regex sequence() {
    List<Regex> parts = new ArrayList<>();
    while (at < characters.length && characters[at] != '|' && characters[at] != ')') {
      parts.add(quantified());
    }
    return parts.size() == 1 ? parts.getFirst() : new Regex.Sequence(parts);
  }

  private Regex quantified() {
    Regex atom = atom();
    int[] counts = counts();
    if (counts.length == 0) {
      return atom;
    }
    if (atom instanceof Regex.Anchor || atom instanceof Regex.LookAhead) {
      throw refuse("a repetition of a place; leave it out");
    }
    take('?'); // as few as possible: the same texts
    if (counts().length > 0) {
      throw refuse("a repetition of a repetition; put the first into '(?:…)'");
    }
    return new Regex.Repeat(atom, counts[0], counts[1]);
  }

  /** The least and the most of a repetition that stands here; empty if none does. */
  private int[] counts() {
    if (take('*')) {
      return new int[] {0, -1};
    }
    if (take('+')) {
      return new int[] {1, -1};
    }
    if (take('?')) {
      return new int[] {0, 1};
    }
    int begin = at;
    if (take('{')) {
      int least = number();
      int most = least;
      if (least >= 0 && take(',')) {
        most = number();
      }
      if (least >= 0 && take('}')) {
        if (most >= 0 && most < least) {
          throw refuse("a repetition of %d to %d times".formatted(least, most));
        }
        return new int[] {least, most};
      }
      at = begin; // as browsers have it, a brace that is no repetition stands for itself
    }
    return new int[0];
  }

  private int number() {
    int begin = at;
    long number = 0;
    while (at < characters.length && characters[at] >= '0' && characters[at] <= '9') {
      number = Math.min(number * 10 + characters[at++] - '0', Integer.MAX_VALUE);
    }
    if (number > MOST) {
      throw refuse("a repetition of more than %,d times".formatted(MOST));
    }
    return begin == at ? -1 : (int) number;
  }

  private Regex atom() {
    int c = characters[at++];
    return switch (c) {
      case '^' -> new Regex.Anchor(true);
      case '$' -> new Regex.Anchor(false);
      case '.' -> new Regex.Characters((wide ? FEW_LINES : ALL_LINES).complement());
      case '(' -> group();
      case '[' -> new Regex.Characters(set());
      case '*', '+', '?' -> throw refuse("'%c' with nothing before it to repeat".formatted(c));
      case '\\' -> {
        CodePoints escaped = escaped(false);
        yield new Regex.Characters(escaped);
      }
      default -> new Regex.Characters(CodePoints.of(c));
    };
  }

  private Regex group() {
    if (take('?')) {
      if (at < characters.length && (characters[at] == '=' || characters[at] == '!')) {
        return lookAhead(characters[at++] == '!');
      }
      if (take('<')) {
        if (at < characters.length && (characters[at] == '=' || characters[at] == '!')) {
          throw refuse("look-behind, which is not supported; write what may stand there");
        }
        while (at < characters.length && characters[at] != '>') {
          at++;
        }
        at++;
      } else if (!take(':')) {
        throw refuse(
            "a group of another kind than '(…)', '(?:…)', '(?<name>…)', '(?=…)' and '(?!…)'");
      }
    }
    Regex inside = alternatives();
    if (!take(')')) {
      throw refuse("'(' without ')'");
    }
    return inside;
  }

  private Regex lookAhead(boolean negative) {
    boolean outside = wide;
    wide = negative != wide; // what must not follow is what any dialect would see there
    Regex ahead = alternatives();
    wide = outside;
    if (!take(')')) {
      throw refuse("'(' without ')'");
    }
    return new Regex.LookAhead(ahead, negative);
  }

  // Sets

  private CodePoints set() {
    boolean negated = take('^');
    boolean outside = wide;
    wide = negated != wide; // the complement of what any takes is what all take
    CodePoints set = CodePoints.NONE;
    while (!take(']')) {
      if (at >= characters.length) {
        throw refuse("'[' without ']'");
      }
      CodePoints from = member();
      if (at + 1 < characters.length && characters[at] == '-' && characters[at + 1] != ']') {
        at++;
        CodePoints to = member();
        int first = single(from);
        int last = single(to);
        if (first > last) {
          throw refuse("a range whose last character comes before its first");
        }
        set = set.or(CodePoints.range(first, last));
      } else {
        set = set.or(from);
      }
    }
    wide = outside;
    return negated ? set.complement() : set;
  }

  private CodePoints member() {
    if (at >= characters.length) {
      throw refuse("'[' without ']'");
    }
    int c = characters[at++];
    return c == '\\' ? escaped(true) : CodePoints.of(c);
  }

  private int single(CodePoints set) {
    int[] ranges = set.ranges();
    if (ranges.length != 2 || ranges[0] != ranges[1]) {
      throw refuse("a range that does not go from one character to another");
    }
    return ranges[0];
  }

  private CodePoints escaped(boolean inSet) {
    if (at >= characters.length) {
      throw refuse("'\\' with nothing behind it");
    }
    int c = characters[at++];
    return switch (c) {
      case 'd' -> DIGIT;
      case 'D' -> DIGIT.complement();
      case 'w' -> WORD;
      case 'W' -> WORD.complement();
      case 's' -> wide ? ALL_SPACES : FEW_SPACES;
      case 'S' -> (wide ? FEW_SPACES : ALL_SPACES).complement();
      case 't' -> CodePoints.of('\t');
      case 'n' -> CodePoints.of('\n');
      case 'v' -> CodePoints.of(0x0B);
      case 'f' -> CodePoints.of('\f');
      case 'r' -> CodePoints.of('\r');
      case '0' -> CodePoints.of(0);
      case 'c' -> CodePoints.of(control());
      case 'x' -> CodePoints.of(hexadecimal(2));
      case 'u' -> CodePoints.of(unicode());
      case 'p', 'P' -> property(c == 'P');
      case 'b', 'B' -> {
        if (inSet && c == 'b') {
          yield CodePoints.of('\b');
        }
        throw refuse("a word boundary, which is not supported; write what may stand there");
      }
      case 'k', '1', '2', '3', '4', '5', '6', '7', '8', '9' ->
          throw refuse("a back reference, which is not supported; write out what may be repeated");
      default -> {
        if (Character.isLetterOrDigit(c)) {
          throw refuse("'\\%c', which ECMAScript does not have".formatted(c));
        }
        yield CodePoints.of(c);
      }
    };
  }

  private int control() {
    if (at < characters.length && Character.isLetter(characters[at]) && characters[at] < 0x80) {
      return characters[at++] & 31;
    }
    throw refuse("'\\c' without a letter");
  }

  private int hexadecimal(int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = at < characters.length ? Character.digit(characters[at], 16) : -1;
      if (digit < 0) {
        throw refuse("an escape without its %d hexadecimal digits".formatted(digits));
      }
      value = value * 16 + digit;
      at++;
    }
    return value;
  }

  private int unicode() {
    if (take('{')) {
      int value = 0;
      while (!take('}')) {
        value = Math.min(value, 0x1000000) * 16 + hexadecimal(1);
      }
      if (value > Character.MAX_CODE_POINT) {
        throw refuse("a character beyond 10FFFF");
      }
      return value;
    }
    int unit = hexadecimal(4);
    if (Character.isHighSurrogate((char) unit)
        && at + 1 < characters.length
        && characters[at] == '\\'
        && characters[at + 1] == 'u') {
      int begin = at;
      at += 2;
      int low = hexadecimal(4);
      if (Character.isLowSurrogate((char) low)) {
        return Character.toCodePoint((char) unit, (char) low);
      }
      at = begin;
    }
    if (Character.isSurrogate((char) unit)) {
      throw refuse("half of a surrogate pair; write the whole character");
    }
    return unit;
  }

  private CodePoints property(boolean complement) {
    int begin = at;
    while (at < characters.length && characters[at] != '}') {
      at++;
    }
    if (at == characters.length || characters[begin] != '{') {
      throw refuse("a property without braces");
    }
    String name = new String(characters, begin + 1, at - begin - 1);
    at++;
    CodePoints set =
        UnicodeSets.property(name)
            .orElseThrow(
                () -> refuse("the property '%s', which is not known here".formatted(name)));
    return complement ? set.complement() : set;
  }

  private boolean take(int c) {
    boolean there = at < characters.length && characters[at] == c;
    at += there ? 1 : 0;
    return there;
  }

  private ConstraintException refuse(String problem) {
    return new ConstraintException(
        "character " + Math.max(0, at - 1),
        "the expression '%s' has %s.".formatted(pattern, problem));
  }
}
