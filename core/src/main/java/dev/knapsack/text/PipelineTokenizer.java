package dev.knapsack.text;

import dev.knapsack.file.TokenizerJson;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * A {@code tokenizer.json}, run as the hub's library {@code tokenizers} runs it: added tokens are
 * taken out of a text, the rest is normalised, cut into pieces and encoded, and special tokens are
 * put around; joined, tokens are a text again.
 *
 * <p>It differs in two things. Text becomes a special token only where it is {@linkplain
 * MarkedText#isControl control}, and if not all of it is, never by way of the model. And a text
 * that itself begins with the beginning-of-sequence token gets no second one.
 */
final class PipelineTokenizer extends AbstractTokenizer {
  /** Added tokens that are looked for in the text as it was given. */
  private final SpecialTokens given;

  /** Added tokens that are looked for in what the normaliser leaves. */
  private final SpecialTokens normalised;

  private final @Nullable TextNormalizer normalizer;
  private final @Nullable PieceSplitter splitter;
  private final PieceModel model;
  private final PostProcessing withSpecial;
  private final PostProcessing withoutSpecial;
  private final List<TokenJoining> joining;
  private final boolean traced;

  /**
   * Puts the parts together.
   *
   * @param withSpecial what stands around a text when special tokens are added
   * @param withoutSpecial and when they are not
   */
  PipelineTokenizer(
      TokenizerJson json,
      Vocabulary vocabulary,
      PostProcessing withSpecial,
      PostProcessing withoutSpecial,
      int bos,
      int eos,
      List<Integer> endTokens,
      List<String> notes) {
    super(vocabulary, bos, eos, endTokens, notes);
    this.withSpecial = withSpecial;
    this.withoutSpecial = withoutSpecial;
    Path file = json.file();
    Component normalizing = Component.of(file, "normalizer", json.section("normalizer"));
    normalizer = normalizing == null ? null : TextNormalizer.read(normalizing);
    Component splitting = Component.of(file, "pre_tokenizer", json.section("pre_tokenizer"));
    splitter = splitting == null ? null : PieceSplitter.read(splitting);
    joining = TokenJoining.read(Component.of(file, "decoder", json.section("decoder")));
    model = PieceModel.read(json, vocabulary);
    given = tokens(json, false);
    normalised = tokens(json, true);
    traced =
        (splitter != null && splitter.traces())
            || json.added().stream().anyMatch(token -> token.normalized() && steers(token));
  }

  private boolean steers(TokenizerJson.Added token) {
    return SpecialTokens.steers(vocabulary.type(token.id()), token.content());
  }

  private SpecialTokens tokens(TokenizerJson json, boolean ofNormalised) {
    List<SpecialTokens.Entry> entries = new ArrayList<>();
    for (TokenizerJson.Added token : json.added()) {
      if (token.normalized() == ofNormalised) {
        String content = token.content();
        String text =
            ofNormalised
                ? normalised(Aligned.of(content, 0, content.length(), false)).text()
                : content;
        entries.add(
            new SpecialTokens.Entry(
                token.id(),
                text,
                steers(token),
                token.singleWord(),
                token.leftStrip(),
                token.rightStrip()));
      }
    }
    return new SpecialTokens(entries);
  }

  private Aligned normalised(Aligned text) {
    return normalizer == null || text.isEmpty() ? text : normalizer.apply(text);
  }

  @Override
  public int[] encode(MarkedText text, boolean addSpecial) {
    Encoding encoding = new Encoding(text);
    PostProcessing processing = addSpecial ? withSpecial : withoutSpecial;
    int[] around = processing.around();
    // The text says itself that it begins: twice would be what no model has seen.
    encoding.omitted = addSpecial && around.length > 0 ? around[0] : -1;
    given.partition(encoding.text, text::isControl, encoding);
    return processing.apply(encoding.tokens.toArray());
  }

  /** One text that is being encoded. */
  private final class Encoding implements SpecialTokens.Sink {
    private final MarkedText marked;
    private final String text;
    private final PieceModel.Encoder encoder;
    private final IntList tokens = new IntList();
    private boolean begun;
    private int omitted;

    Encoding(MarkedText marked) {
      this.marked = marked;
      text = withoutHalves(marked.text());
      encoder = model.encoder(marked.isControl(0, text.length()));
    }

    @Override
    public void token(int token) {
      if (begun || token != omitted) {
        tokens.add(token);
      }
      begun = true;
    }

    @Override
    public void text(int from, int to) {
      Aligned part = normalised(Aligned.of(text, from, to, traced));
      if (normalised.isEmpty()) {
        part(part.cut(0, part.text().length()));
        return;
      }
      normalised.partition(
          part.text(),
          (start, end) -> marked.isControl(part.start(start), part.end(end - 1)),
          new SpecialTokens.Sink() {
            @Override
            public void token(int token) {
              Encoding.this.token(token);
            }

            @Override
            public void text(int start, int end) {
              part(part.cut(start, end));
            }
          });
    }

    private void part(Aligned part) {
      begun = true;
      if (splitter == null) {
        piece(part);
      } else if (!part.isEmpty()) {
        splitter.split(part, this::piece);
      }
    }

    private void piece(Aligned piece) {
      if (!piece.isEmpty()) {
        encoder.encode(piece.text(), tokens);
      }
    }
  }

  /** The text, with U+FFFD for halves of surrogate pairs, which are no characters. */
  private static String withoutHalves(String text) {
    StringBuilder changed = null;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      if (c >> 11 == 0xD800 >> 11) {
        if (changed == null) {
          changed = new StringBuilder(text);
        }
        changed.setCharAt(i, '\uFFFD');
      }
      i += Character.charCount(c);
    }
    return changed == null ? text : changed.toString();
  }

  @Override
  public long fewestTokens(long characters) {
    int shrinks = normalizer == null ? 1 : normalizer.shrinks();
    boolean keepsAll =
        shrinks > 0
            && (splitter == null || splitter.keepsAll())
            && model.keepsAll(spellsBytes())
            && withoutSpecial.keepsText()
            && !given.swallowBlanks()
            && !normalised.swallowBlanks();
    return keepsAll
        ? Math.ceilDiv(characters, Math.multiplyFull(shrinks, Math.max(1, vocabulary.longest())))
        : 0;
  }

  private boolean spellsBytes() {
    return (splitter != null && splitter.spellsBytes())
        || (normalizer != null && normalizer.spellsBytes());
  }

  @Override
  public boolean joinsBytes() {
    return joining.stream().allMatch(TokenJoining::joinsBytes);
  }

  @Override
  public byte[] bytes(int token, boolean special) {
    switch (type(token)) {
      case UNUSED -> {
        return new byte[0];
      }
      case CONTROL -> {
        return special ? vocabulary.bytes(token) : new byte[0];
      }
      default -> {}
    }
    String text = vocabulary.text(token);
    for (TokenJoining stage : joining) {
      if (stage instanceof TokenJoining.Bytes) {
        return TokenJoining.Bytes.bytes(text);
      }
      int b = ByteTokens.parse(text);
      if (stage instanceof TokenJoining.ByteFallback && b >= 0) {
        return new byte[] {(byte) b};
      }
    }
    Joined joined = new Joined(true, _ -> special);
    return (joined.next(token) + joined.finish()).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public StreamDecoder stream(int previous, IntPredicate shown) {
    return new Joined(isTextBefore(previous), shown);
  }

  /** A stream of tokens that becomes a text. */
  private final class Joined implements StreamDecoder {
    private final TokenJoining.Text text = new TokenJoining.Text();
    private final TokenJoining.Stage first;
    private final IntPredicate shown;
    private boolean begun;

    Joined(boolean continues, IntPredicate shown) {
      begun = continues;
      first = TokenJoining.stages(joining, text, continues);
      this.shown = shown;
    }

    @Override
    public String next(int token) {
      TokenType type = type(token);
      if (type != TokenType.UNUSED && (type != TokenType.CONTROL || shown.test(token))) {
        first.part(vocabulary.text(token));
        first.end();
        begun = true;
      }
      return text.take();
    }

    @Override
    public boolean hidesSpace() {
      return !begun && joining.stream().anyMatch(TokenJoining::hidesFirstSpace);
    }

    @Override
    public String finish() {
      first.finish();
      return text.take();
    }
  }
}
