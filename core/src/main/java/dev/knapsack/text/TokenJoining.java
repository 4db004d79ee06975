package dev.knapsack.text;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The {@code decoder} of a {@code tokenizer.json}: makes a text of tokens, in stages that take what
 * comes and pass on what is certain, so that a stream of tokens gives the text that all of them
 * give at once.
 */
sealed interface TokenJoining {
  String KNOWN =
      "BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence, Strip,"
          + " WordPiece";

  /**
   * A stage that takes tokens in parts: some parts, an end, and so on for each; at last the finish.
   */
  abstract class Stage {
    final Stage next;

    private Stage(@Nullable Stage next) {
      this.next = next == null ? this : next;
    }

    abstract void part(String text);

    abstract void end();

    /** There are no more tokens: what is held goes on, and then the next stage is told. */
    void finish() {
      next.finish();
    }

    final void pass(String text) {
      next.part(text);
      next.end();
    }
  }

  /** The last stage: collects the text. */
  final class Text extends Stage {
    private final StringBuilder text = new StringBuilder();

    Text() {
      super(null);
    }

    @Override
    void part(String part) {
      text.append(part);
    }

    @Override
    void end() {}

    @Override
    void finish() {}

    /** The text since this was last asked. */
    String take() {
      String taken = text.toString();
      text.setLength(0);
      return taken;
    }
  }

  /** A stage that needs each token whole. */
  abstract class WholeStage extends Stage {
    private final StringBuilder whole = new StringBuilder();

    private WholeStage(Stage next) {
      super(next);
    }

    @Override
    final void part(String text) {
      whole.append(text);
    }

    @Override
    final void end() {
      String token = whole.toString();
      whole.setLength(0);
      token(token);
    }

    abstract void token(String token);
  }

  /**
   * A stage of this kind.
   *
   * @param continues tokens come before those that are given
   */
  Stage stage(Stage next, boolean continues);

  /** Says whether all tokens are one behind it. */
  default boolean fuses() {
    return false;
  }

  /** Says whether what it makes of tokens is what it makes of one after that of another. */
  default boolean joinsBytes() {
    return true;
  }

  /** Says whether it may leave out a space with which a text begins. */
  default boolean hidesFirstSpace() {
    return false;
  }

  /** The first of the stages that a file describes; its last writes to {@code text}. */
  static Stage stages(List<TokenJoining> all, Text text, boolean continues) {
    Stage stage = text;
    for (int i = all.size() - 1; i >= 0; i--) {
      boolean begun = continues;
      if (all.get(i) instanceof Stripped) {
        // A token that is cut at its beginning began earlier if it is all tokens in one.
        begun &= all.subList(0, i).stream().anyMatch(TokenJoining::fuses);
      }
      stage = all.get(i).stage(stage, begun);
    }
    return stage;
  }

  static List<TokenJoining> read(@Nullable Component component) {
    List<TokenJoining> all = new ArrayList<>();
    if (component == null) {
      all.add(new Spaced());
    } else {
      read(component, all);
    }
    return List.copyOf(all);
  }

  private static void read(Component component, List<TokenJoining> all) {
    switch (component.type()) {
      case "Sequence" -> component.parts("decoders").forEach(one -> read(one, all));
      case "ByteLevel" -> all.add(new Bytes());
      case "ByteFallback" -> all.add(new ByteFallback());
      case "Fuse" -> all.add(new Fused());
      case "Metaspace" ->
          all.add(
              new Metaspace(
                  Character.toString(component.character("replacement")),
                  PrependScheme.read(component) != PrependScheme.NEVER));
      case "Strip" ->
          all.add(
              new Stripped(
                  component.character("content"),
                  component.count("start"),
                  component.count("stop")));
      case "Replace" ->
          all.add(new Replaced(TextPattern.read(component), component.text("content")));
      case "WordPiece" ->
          all.add(new WordPiece(component.text("prefix"), component.flag("cleanup")));
      case "BPEDecoder" -> all.add(new Suffixed(component.text("suffix")));
      case "CTC" ->
          all.add(
              new Ctc(
                  component.text("pad_token"),
                  component.text("word_delimiter_token"),
                  component.flag("cleanup")));
      default -> throw component.unknownType(KNOWN);
    }
  }

  /** Without a decoder, a space stands between tokens. */
  record Spaced() implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return false;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private boolean begun = continues;

        @Override
        void token(String token) {
          pass(begun ? " " + token : token);
          begun = true;
        }
      };
    }
  }

  /** Tokens of characters that stand for bytes, unless one has another in it. */
  record Bytes() implements TokenJoining {
    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private final LossyUtf8 decoder = new LossyUtf8();
        private final StringBuilder text = new StringBuilder();

        @Override
        void token(String token) {
          decoder.add(bytes(token), text);
          flush();
        }

        @Override
        void finish() {
          decoder.finish(text);
          flush();
          next.end();
          next.finish();
        }

        private void flush() {
          next.part(text.toString());
          text.setLength(0);
        }
      };
    }

    static byte[] bytes(String token) {
      ByteList bytes = new ByteList(token.length());
      for (int i = 0; i < token.length(); i++) {
        int b = ByteAlphabet.byteOf(token.charAt(i));
        if (b < 0) {
          return token.getBytes(StandardCharsets.UTF_8);
        }
        bytes.add(b);
      }
      return bytes.toArray();
    }

    @Override
    public boolean fuses() {
      return true;
    }
  }

  /** Tokens that name bytes; a run of them that is no UTF-8 becomes U+FFFD for each. */
  record ByteFallback() implements TokenJoining {
    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private final ByteList run = new ByteList(16);

        @Override
        void token(String token) {
          int b = ByteTokens.parse(token);
          if (b >= 0) {
            run.add(b);
          } else {
            flush();
            pass(token);
          }
        }

        @Override
        void finish() {
          flush();
          next.finish();
        }

        private void flush() {
          if (run.size() == 0) {
            return;
          }
          try {
            pass(
                StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(run.array(), 0, run.size()))
                    .toString());
          } catch (CharacterCodingException e) {
            for (int i = 0; i < run.size(); i++) {
              pass("\uFFFD");
            }
          }
          run.clear();
        }
      };
    }
  }

  /** All tokens as one. */
  record Fused() implements TokenJoining {
    @Override
    public Stage stage(Stage next, boolean continues) {
      return new Stage(next) {
        @Override
        void part(String text) {
          next.part(text);
        }

        @Override
        void end() {}

        @Override
        void finish() {
          next.end();
          next.finish();
        }
      };
    }

    @Override
    public boolean fuses() {
      return true;
    }
  }

  /** Spaces for a visible character; none in the first token if one was put before the text. */
  record Metaspace(String replacement, boolean hidesFirst) implements TokenJoining {
    @Override
    public boolean hidesFirstSpace() {
      return hidesFirst;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new Stage(next) {
        private boolean first = !continues && hidesFirst;

        @Override
        void part(String text) {
          next.part(text.replace(replacement, first ? "" : " "));
        }

        @Override
        void end() {
          first = false;
          next.end();
        }
      };
    }
  }

  /** Takes up to so many of a character off the ends of each token. */
  record Stripped(int content, int start, int stop) implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return content == ' ' && start <= 1 && stop == 0;
    }

    @Override
    public boolean hidesFirstSpace() {
      return start > 0;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new Stage(next) {
        private int toCut = continues ? 0 : start;

        // Characters that end the token so far, and may be cut.
        private int held;

        @Override
        void part(String text) {
          StringBuilder out = new StringBuilder();
          for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            i += Character.charCount(c);
            if (c == content && toCut > 0) {
              toCut--;
              continue;
            }
            toCut = 0;
            if (c == content && stop > 0) {
              held++;
              if (held > stop) {
                out.appendCodePoint(c);
                held--;
              }
              continue;
            }
            release(out);
            out.appendCodePoint(c);
          }
          next.part(out.toString());
        }

        private void release(StringBuilder out) {
          for (; held > 0; held--) {
            out.appendCodePoint(content);
          }
        }

        @Override
        void end() {
          held = 0;
          toCut = start;
          next.end();
        }
      };
    }
  }

  /** A string in the place of each match in a token. */
  record Replaced(TextPattern pattern, String content) implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return pattern.literal().codePointCount(0, pattern.literal().length()) == 1;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      String literal = pattern.literal();
      return new Stage(next) {
        private final StringBuilder held = new StringBuilder();

        @Override
        void part(String text) {
          held.append(text);
          if (literal.isEmpty()) {
            return;
          }
          StringBuilder out = new StringBuilder();
          int done = 0;
          int at;
          while ((at = held.indexOf(literal, done)) >= 0) {
            out.append(held, done, at).append(content);
            done = at + literal.length();
          }
          // The beginning of a match may be the end of what is there.
          int keep = Math.max(done, held.length() - literal.length() + 1);
          while (keep < held.length() && !literal.startsWith(held.substring(keep))) {
            keep++;
          }
          out.append(held, done, keep);
          held.delete(0, keep);
          next.part(out.toString());
        }

        @Override
        void end() {
          String token = held.toString();
          held.setLength(0);
          if (literal.isEmpty()) {
            StringBuilder out = new StringBuilder();
            pattern.cut(
                token,
                0,
                token.length(),
                (from, to, match) -> {
                  if (match) {
                    out.append(content);
                  } else {
                    out.append(token, from, to);
                  }
                });
            next.part(out.toString());
          } else {
            next.part(token);
          }
          next.end();
        }
      };
    }
  }

  /** A space before each token that does not continue a word. */
  record WordPiece(String prefix, boolean cleansUp) implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return false;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private boolean begun = continues;

        @Override
        void token(String token) {
          String text = token;
          if (begun) {
            text = token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
          }
          begun = true;
          pass(cleansUp ? cleaned(text) : text);
        }
      };
    }

    static String cleaned(String text) {
      return text.replace(" .", ".")
          .replace(" ?", "?")
          .replace(" !", "!")
          .replace(" ,", ",")
          .replace(" ' ", "'")
          .replace(" n't", "n't")
          .replace(" 'm", "'m")
          .replace(" do not", " don't")
          .replace(" 's", "'s")
          .replace(" 've", "'ve")
          .replace(" 're", "'re");
    }
  }

  /** A space for what ends a word, but nothing at the end of the text. */
  record Suffixed(String suffix) implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return false;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private @Nullable String held;

        @Override
        void token(String token) {
          if (held != null) {
            pass(held.replace(suffix, " "));
          }
          held = token;
        }

        @Override
        void finish() {
          if (held != null) {
            pass(held.replace(suffix, ""));
          }
          next.finish();
        }
      };
    }
  }

  /** Connectionist temporal classification: a token counts once for each run of it. */
  record Ctc(String padding, String delimiter, boolean cleansUp) implements TokenJoining {
    @Override
    public boolean joinsBytes() {
      return false;
    }

    @Override
    public Stage stage(Stage next, boolean continues) {
      return new WholeStage(next) {
        private @Nullable String last;

        @Override
        void token(String token) {
          if (token.equals(last)) {
            return;
          }
          last = token;
          String text = token.replace(padding, "");
          if (cleansUp) {
            text = WordPiece.cleaned(text).replace(delimiter, " ");
          }
          if (!text.isEmpty()) {
            pass(text);
          }
        }
      };
    }
  }
}
