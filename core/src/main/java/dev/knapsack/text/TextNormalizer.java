package dev.knapsack.text;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;

/** The {@code normalizer} of a {@code tokenizer.json}: changes a text before it is cut. */
interface TextNormalizer {
  String KNOWN =
      "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend,"
          + " Replace, Sequence, Strip, StripAccents";

  /** The text as the model sees it. */
  Aligned apply(Aligned text);

  /** The most characters (UTF-16 units) that one may come of; 0 if characters may vanish. */
  int shrinks();

  /** Says whether it writes bytes in {@link ByteAlphabet}. */
  default boolean spellsBytes() {
    return false;
  }

  static TextNormalizer read(Component component) {
    return switch (component.type()) {
      case "Sequence" ->
          new InTurn(component.parts("normalizers").stream().map(TextNormalizer::read).toList());
      case "NFC" -> new Form(Normalizer.Form.NFC);
      case "NFD" -> new Form(Normalizer.Form.NFD);
      case "NFKC" -> new Form(Normalizer.Form.NFKC);
      case "NFKD" -> new Form(Normalizer.Form.NFKD);
      case "Lowercase" -> new Lowercase();
      case "StripAccents" -> new Filter(c -> !Characters.isMark(c));
      case "Nmt" -> new InTurn(List.of(new Filter(Nmt::keeps), new Each(Nmt::replaced)));
      case "Strip" -> new Strip(component.flag("strip_left"), component.flag("strip_right"));
      case "Prepend" -> new Prepend(component.text("prepend"));
      case "Replace" -> new Replace(TextPattern.read(component), component.text("content"));
      case "ByteLevel" -> new Bytes();
      case "BertNormalizer" -> bert(component);
      case "Precompiled" -> PrecompiledCharacters.read(component);
      default -> throw component.unknownType(KNOWN);
    };
  }

  private static TextNormalizer bert(Component component) {
    List<TextNormalizer> all = new ArrayList<>();
    if (component.flag("clean_text")) {
      all.add(
          new Filter(c ->
              c == '\t'
                  || c == '\n'
                  || c == '\r'
                  || !(c == 0 || c == 0xFFFD || Characters.isControl(c))));
      all.add(new Each(c -> Characters.isBlank(c) ? ' ' : c));
    }
    if (component.flag("handle_chinese_chars")) {
      all.add(new SpacedHan());
    }
    boolean lowercase = component.flag("lowercase");
    if (component.flag("strip_accents", lowercase)) {
      all.add(new Form(Normalizer.Form.NFD));
      all.add(new Filter(c -> Character.getType(c) != Character.NON_SPACING_MARK));
    }
    if (lowercase) {
      all.add(new Lowercase());
    }
    return new InTurn(all);
  }

  /** A normalizer that takes characters one by one. */
  interface ByCharacter extends TextNormalizer {
    /**
     * Writes what becomes of character {@code c}.
     *
     * @param at where it begins
     * @param next where the one after it does
     */
    void write(int c, int at, int next, Aligned.Builder out);

    @Override
    default Aligned apply(Aligned aligned) {
      Aligned.Builder out = aligned.builder();
      String text = aligned.text();
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        int next = i + Character.charCount(c);
        write(c, i, next, out);
        i = next;
      }
      return out.build();
    }

    @Override
    default int shrinks() {
      return 1;
    }
  }

  /** Normalizers one after the other. */
  record InTurn(List<TextNormalizer> all) implements TextNormalizer {
    @Override
    public Aligned apply(Aligned text) {
      Aligned now = text;
      for (TextNormalizer one : all) {
        now = one.apply(now);
      }
      return now;
    }

    @Override
    public int shrinks() {
      return all.stream().mapToInt(TextNormalizer::shrinks).reduce(1, (a, b) -> a * b);
    }

    @Override
    public boolean spellsBytes() {
      return all.stream().anyMatch(TextNormalizer::spellsBytes);
    }
  }

  /**
   * A form of Unicode (UAX 15).
   *
   * <p>A run of more than 250 combining marks is normalised in parts, as sorting it would cost its
   * square; stream-safe text (UAX 15, 13) has no more than 30.
   */
  record Form(Normalizer.Form form) implements TextNormalizer {
    private static final int MOST_MARKS = 250;
    private static final int SHORT = 4096;

    @Override
    public Aligned apply(Aligned aligned) {
      String text = aligned.text();
      if (text.length() <= SHORT && Normalizer.isNormalized(text, form)) {
        return aligned;
      }
      Aligned.Builder out = aligned.builder();
      for (int from = 0; from < text.length(); ) {
        int to = end(text, from);
        if (to == from + 1 && text.charAt(from) < 0x80) {
          out.copy(from, to);
        } else {
          segment(text, from, to, out);
        }
        from = to;
      }
      return out.build();
    }

    /** Writes a segment, whose characters take the places of those that were there in turn. */
    private void segment(String text, int from, int to, Aligned.Builder out) {
      String normal = Normalizer.normalize(text.substring(from, to), form);
      if (text.startsWith(normal, from) && normal.length() == to - from) {
        out.copy(from, to);
        return;
      }
      int at = from;
      for (int i = 0; i < normal.length(); ) {
        int c = normal.codePointAt(i);
        out.add(c, at, i == 0 && normal.codePointCount(0, normal.length()) == 1 ? to : at + 1);
        i += Character.charCount(c);
        if (at + 1 < to && Characters.isMark(c)) {
          at++;
        }
      }
    }

    /**
     * The end of what is normalised together: before a character that nothing before can change.
     */
    private int end(String text, int from) {
      int last = text.codePointAt(from);
      int at = from + Character.charCount(last);
      int count = 1;
      while (at < text.length() && text.charAt(at) >= 0x80 && count <= MOST_MARKS) {
        int c = text.codePointAt(at);
        if (!Characters.isMark(c) && !isHalfWidthMark(c) && !(isHangul(last) && isHangul(c))) {
          break;
        }
        last = c;
        at += Character.charCount(c);
        count++;
      }
      return at;
    }

    /** Signs of sound that are marks once they have their width. */
    private static boolean isHalfWidthMark(int c) {
      return c == 0xFF9E || c == 0xFF9F;
    }

    /** Letters that compose with the one before, though they are no marks. */
    private boolean isHangul(int c) {
      return (form == Normalizer.Form.NFC || form == Normalizer.Form.NFKC)
          && Character.UnicodeScript.of(c) == Character.UnicodeScript.HANGUL;
    }

    @Override
    public int shrinks() {
      return switch (form) {
        case NFC -> 4;
        case NFKC -> 8;
        case NFD, NFKD -> 2;
      };
    }
  }

  /** Lower case, a character at a time. */
  record Lowercase() implements ByCharacter {
    private static final int CAPITAL_I_WITH_DOT = 0x130;

    @Override
    public void write(int c, int at, int next, Aligned.Builder out) {
      if (c == CAPITAL_I_WITH_DOT) {
        out.add('i', at, at + 1);
        out.insert(0x307, at + 1);
      } else {
        out.add(Character.toLowerCase(c), at, at + 1);
      }
    }
  }

  /** Leaves characters out. */
  record Filter(IntPredicate keeps) implements ByCharacter {
    @Override
    public void write(int c, int at, int next, Aligned.Builder out) {
      if (keeps.test(c)) {
        out.add(c, at, at + 1);
      }
    }

    @Override
    public int shrinks() {
      return 0;
    }
  }

  /** Takes one character for another. */
  record Each(IntUnaryOperator change) implements ByCharacter {
    @Override
    public void write(int c, int at, int next, Aligned.Builder out) {
      out.add(change.applyAsInt(c), at, at + 1);
    }
  }

  /** Puts spaces around ideographs. */
  record SpacedHan() implements ByCharacter {
    @Override
    public void write(int c, int at, int next, Aligned.Builder out) {
      if (Characters.isHan(c)) {
        out.add(' ', at, at + 1);
        out.insert(c, next);
        out.insert(' ', next);
      } else {
        out.add(c, at, at + 1);
      }
    }
  }

  /** Takes blanks off the ends. */
  record Strip(boolean left, boolean right) implements TextNormalizer {
    @Override
    public Aligned apply(Aligned aligned) {
      String text = aligned.text();
      int from = 0;
      int to = text.length();
      while (left && from < to && Characters.isBlank(text.charAt(from))) {
        from++;
      }
      while (right && to > from && Characters.isBlank(text.charAt(to - 1))) {
        to--;
      }
      if (from == 0 && to == text.length()) {
        return aligned;
      }
      Aligned.Builder out = aligned.builder();
      out.copy(from, to);
      return out.build();
    }

    @Override
    public int shrinks() {
      return 0;
    }
  }

  /** Puts a string before a text that is not empty. */
  record Prepend(String prefix) implements TextNormalizer {
    @Override
    public Aligned apply(Aligned aligned) {
      if (aligned.isEmpty()) {
        return aligned;
      }
      Aligned.Builder out = aligned.builder();
      out.prepend(prefix);
      out.copy(0, aligned.text().length());
      return out.build();
    }

    @Override
    public int shrinks() {
      return 1;
    }
  }

  /** Puts a string in the place of each match. */
  record Replace(TextPattern pattern, String content) implements TextNormalizer {
    @Override
    public Aligned apply(Aligned aligned) {
      Aligned.Builder out = aligned.builder();
      pattern.cut(
          aligned.text(),
          0,
          aligned.text().length(),
          (from, to, match) -> {
            if (match) {
              out.insert(content, to);
            } else {
              out.copy(from, to);
            }
          });
      return out.build();
    }

    @Override
    public int shrinks() {
      return !pattern.literal().isEmpty() && pattern.literal().length() <= content.length() ? 1 : 0;
    }
  }

  /** Writes bytes in {@link ByteAlphabet}. */
  record Bytes() implements ByCharacter {
    @Override
    public void write(int c, int at, int next, Aligned.Builder out) {
      for (byte b : Character.toString(c).getBytes(StandardCharsets.UTF_8)) {
        out.add(ByteAlphabet.character(b & 0xFF), at, at + 1);
      }
    }

    @Override
    public boolean spellsBytes() {
      return true;
    }
  }
}
