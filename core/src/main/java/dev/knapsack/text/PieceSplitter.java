package dev.knapsack.text;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * The {@code pre_tokenizer} of a {@code tokenizer.json}: cuts a text into the pieces that its model
 * sees.
 */
sealed interface PieceSplitter {
  String KNOWN =
      "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace,"
          + " Punctuation, Sequence, Split, UnicodeScripts, Whitespace, WhitespaceSplit";

  String GPT2 =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

  /** Takes pieces in order. */
  interface Sink {
    void piece(Aligned piece);
  }

  /** Cuts a piece into smaller ones, none of them empty. */
  void split(Aligned piece, Sink next);

  /** Says whether every character of a piece is in one of the smaller ones. */
  boolean keepsAll();

  /** Says whether it writes bytes in {@link ByteAlphabet}. */
  default boolean spellsBytes() {
    return false;
  }

  /** Says whether it asks where a piece comes from. */
  default boolean traces() {
    return false;
  }

  static PieceSplitter read(Component component) {
    return switch (component.type()) {
      case "Sequence" ->
          new InTurn(component.parts("pretokenizers").stream().map(PieceSplitter::read).toList());
      case "ByteLevel" ->
          new Bytes(
              component.flag("add_prefix_space"),
              component.flag("use_regex", true),
              TextPattern.of(component, GPT2));
      case "Metaspace" -> metaspace(component);
      case "Split" ->
          new ByPattern(
              TextPattern.read(component), SplitBehavior.read(component), component.flag("invert"));
      case "Digits" ->
          new ByCharacter(
              Characters::isNumber,
              component.flag("individual_digits")
                  ? SplitBehavior.ISOLATED
                  : SplitBehavior.CONTIGUOUS);
      case "Punctuation" ->
          new ByCharacter(
              Characters::isPunctuation,
              component.has("behavior") ? SplitBehavior.read(component) : SplitBehavior.ISOLATED);
      case "WhitespaceSplit" -> new ByCharacter(Characters::isBlank, SplitBehavior.REMOVED);
      case "BertPreTokenizer" ->
          new InTurn(
              List.of(
                  new ByCharacter(Characters::isBlank, SplitBehavior.REMOVED),
                  new ByCharacter(Characters::isPunctuation, SplitBehavior.ISOLATED)));
      case "CharDelimiterSplit" -> {
        int delimiter = component.character("delimiter");
        yield new ByCharacter(c -> c == delimiter, SplitBehavior.REMOVED);
      }
      case "Whitespace" -> new Words();
      case "UnicodeScripts" -> new Scripts();
      case "FixedLength" -> fixedLength(component);
      default -> throw component.unknownType(KNOWN);
    };
  }

  private static PieceSplitter metaspace(Component component) {
    PrependScheme scheme = PrependScheme.read(component);
    return new Metaspace(
        Character.toString(component.character("replacement")),
        scheme,
        component.flag("split", true));
  }

  private static PieceSplitter fixedLength(Component component) {
    int length = component.count("length", 5);
    if (length == 0) {
      throw component.wrong("length", "must be 1 or more, and is 0");
    }
    return new FixedLength(length);
  }

  private static void cut(Aligned piece, int from, int to, Sink next) {
    next.piece(piece.cut(from, to));
  }

  /** Splitters one after the other. */
  record InTurn(List<PieceSplitter> all) implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      split(0, piece, next);
    }

    private void split(int stage, Aligned piece, Sink next) {
      if (stage == all.size()) {
        next.piece(piece);
      } else {
        all.get(stage).split(piece, part -> split(stage + 1, part, next));
      }
    }

    @Override
    public boolean keepsAll() {
      return all.stream().allMatch(PieceSplitter::keepsAll);
    }

    @Override
    public boolean traces() {
      return all.stream().anyMatch(PieceSplitter::traces);
    }

    @Override
    public boolean spellsBytes() {
      return all.stream().anyMatch(PieceSplitter::spellsBytes);
    }
  }

  /** Cuts at what a pattern matches, or with {@code invert} at what it leaves. */
  record ByPattern(TextPattern pattern, SplitBehavior behavior, boolean invert)
      implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      SplitBehavior.Cutter cutter = behavior.cutter((from, to) -> cut(piece, from, to, next));
      pattern.cut(
          piece.text(),
          0,
          piece.text().length(),
          (from, to, match) -> cutter.stretch(from, to, match != invert));
      cutter.end();
    }

    @Override
    public boolean keepsAll() {
      return behavior != SplitBehavior.REMOVED;
    }
  }

  /** Cuts at characters of a kind. */
  record ByCharacter(IntPredicate kind, SplitBehavior behavior) implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      SplitBehavior.Cutter cutter = behavior.cutter((from, to) -> cut(piece, from, to, next));
      String text = piece.text();
      int done = 0;
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        int end = i + Character.charCount(c);
        if (kind.test(c)) {
          if (done < i) {
            cutter.stretch(done, i, false);
          }
          cutter.stretch(i, end, true);
          done = end;
        }
        i = end;
      }
      if (done < text.length()) {
        cutter.stretch(done, text.length(), false);
      }
      cutter.end();
    }

    @Override
    public boolean keepsAll() {
      return behavior != SplitBehavior.REMOVED;
    }
  }

  /** Words, and runs of what is neither word nor blank. */
  record Words() implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      String text = piece.text();
      int from = 0;
      int kind = 0;
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        int now = Characters.isWord(c) ? 1 : Characters.isBlank(c) ? 0 : 2;
        if (now != kind) {
          if (kind != 0) {
            cut(piece, from, i, next);
          }
          from = i;
          kind = now;
        }
        i += Character.charCount(c);
      }
      if (kind != 0) {
        cut(piece, from, text.length(), next);
      }
    }

    @Override
    public boolean keepsAll() {
      return false;
    }
  }

  /** Cuts pieces of so many characters each. */
  record FixedLength(int length) implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      String text = piece.text();
      int from = 0;
      while (from < text.length()) {
        int to = from;
        for (int i = 0; i < length && to < text.length(); i++) {
          to += Character.charCount(text.codePointAt(to));
        }
        cut(piece, from, to, next);
        from = to;
      }
    }

    @Override
    public boolean keepsAll() {
      return true;
    }
  }

  /** Cuts where the script changes; spaces go with what is before them. */
  record Scripts() implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      String text = piece.text();
      Character.UnicodeScript last = null;
      int from = -1;
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        Character.UnicodeScript script = script(c);
        if (script != Character.UnicodeScript.UNKNOWN) {
          if (script != last) {
            if (from >= 0) {
              cut(piece, from, i, next);
            }
            from = i;
          }
          last = script;
        }
        i += Character.charCount(c);
      }
      if (from >= 0) {
        cut(piece, from, text.length(), next);
      }
    }

    /** Scripts as SentencePiece takes them; {@code UNKNOWN} is any. */
    private static Character.UnicodeScript script(int c) {
      if (c == ' ') {
        return Character.UnicodeScript.UNKNOWN;
      }
      if (c == 0x30FC) {
        return Character.UnicodeScript.HAN;
      }
      Character.UnicodeScript script = Character.UnicodeScript.of(c);
      return switch (script) {
        case HIRAGANA, KATAKANA -> Character.UnicodeScript.HAN;
        default -> script;
      };
    }

    /** False: a piece that begins with characters of no script loses them. */
    @Override
    public boolean keepsAll() {
      return false;
    }
  }

  /** Writes bytes in {@link ByteAlphabet}; before that, GPT-2's way of cutting text. */
  record Bytes(boolean prefixSpace, boolean cuts, TextPattern gpt2) implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      Aligned spaced = piece;
      if (prefixSpace && !piece.text().startsWith(" ")) {
        Aligned.Builder out = piece.builder();
        out.prepend(" ");
        out.copy(0, piece.text().length());
        spaced = out.build();
      }
      Aligned whole = spaced;
      if (cuts) {
        gpt2.cut(
            whole.text(),
            0,
            whole.text().length(),
            (from, to, match) -> next.piece(spelled(whole.cut(from, to))));
      } else {
        next.piece(spelled(whole));
      }
    }

    private static Aligned spelled(Aligned piece) {
      String text = piece.text();
      Aligned.Builder out = piece.builder();
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        int units = Character.charCount(c);
        if (c < 0x80) {
          out.add(ByteAlphabet.character(c), i, i + 1);
        } else {
          for (byte b : text.substring(i, i + units).getBytes(StandardCharsets.UTF_8)) {
            out.add(ByteAlphabet.character(b & 0xFF), i, i + 1);
          }
        }
        i += units;
      }
      return out.build();
    }

    @Override
    public boolean keepsAll() {
      return true;
    }

    @Override
    public boolean spellsBytes() {
      return true;
    }
  }

  /** Writes spaces as a visible character, and cuts before each. */
  record Metaspace(String replacement, PrependScheme scheme, boolean cuts)
      implements PieceSplitter {
    @Override
    public void split(Aligned piece, Sink next) {
      Aligned spaced = written(piece);
      String text = spaced.text();
      if (!cuts) {
        next.piece(spaced);
        return;
      }
      SplitBehavior.Cutter cutter =
          SplitBehavior.MERGED_WITH_NEXT.cutter((from, to) -> cut(spaced, from, to, next));
      int done = 0;
      int at;
      while ((at = text.indexOf(replacement, done)) >= 0) {
        if (done < at) {
          cutter.stretch(done, at, false);
        }
        done = at + replacement.length();
        cutter.stretch(at, done, true);
      }
      if (done < text.length()) {
        cutter.stretch(done, text.length(), false);
      }
      cutter.end();
    }

    private Aligned written(Aligned piece) {
      String text = piece.text();
      boolean begins = text.startsWith(" ") || text.startsWith(replacement);
      boolean prepends =
          !begins
              && switch (scheme) {
                case ALWAYS -> true;
                case FIRST -> piece.origin() == 0;
                case NEVER -> false;
              };
      if (!prepends && text.indexOf(' ') < 0) {
        return piece;
      }
      Aligned.Builder out = piece.builder();
      if (prepends) {
        out.prepend(replacement);
      }
      int mark = replacement.codePointAt(0);
      for (int i = 0; i < text.length(); ) {
        int c = text.codePointAt(i);
        out.add(c == ' ' ? mark : c, i, i + 1);
        i += Character.charCount(c);
      }
      return out.build();
    }

    @Override
    public boolean keepsAll() {
      return true;
    }

    @Override
    public boolean traces() {
      return scheme == PrependScheme.FIRST;
    }
  }
}
