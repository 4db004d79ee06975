package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the parts of a {@code tokenizer.json} do, worked out by hand; {@link HubLibraryTest}
 * compares all of them with the library.
 */
class PipelineTokenizerTest {
  private static final int INST = 3;
  private static final int SPACE = 4;
  private static final int A = 5;
  private static final int X = A + 'x' - 'a';
  private static final int SPACE_HE = 33;
  private static final int HE = 32;
  private static final int LINE_FEED = 34;
  private static final int BYTES = 35;

  private static String metaspace(String scheme) {
    return "{'type': 'Metaspace', 'replacement': '\u2581', 'split': false, " + scheme + "}";
  }

  private static int[] encode(TinyPipelines file, String text) {
    return file.tokenizer().encode(text, false, true);
  }

  @Test
  void aSpaceGoesBeforeEveryPieceTheFirstOrNone() {
    String text = "[INST]he[INST]";
    for (String always : new String[] {"'prepend_scheme': 'always'", "'add_prefix_space': true"}) {
      TinyPipelines file = TinyPipelines.pieces().with("pre_tokenizer", metaspace(always));
      assertThat(encode(file, "he" + text)).containsExactly(SPACE_HE, INST, SPACE_HE, INST);
      assertThat(encode(file, " he")).containsExactly(SPACE_HE);
    }
    TinyPipelines first =
        TinyPipelines.pieces().with("pre_tokenizer", metaspace("'prepend_scheme': 'first'"));
    assertThat(encode(first, "he" + text)).containsExactly(SPACE_HE, INST, HE, INST);
    assertThat(encode(first, text)).containsExactly(INST, HE, INST);
    for (String never : new String[] {"'prepend_scheme': 'never'", "'add_prefix_space': false"}) {
      TinyPipelines file = TinyPipelines.pieces().with("pre_tokenizer", metaspace(never));
      assertThat(encode(file, "he" + text)).containsExactly(HE, INST, HE, INST);
    }
  }

  @Test
  void addedTokensTakeTheBlanksThatTheyClaim() {
    TinyPipelines file = TinyPipelines.pieces();
    String text = "x [INST] \u3000\nx";
    int[] ideographicSpace = {BYTES + 0xE3, BYTES + 0x80, BYTES + 0x80};
    assertThat(encode(file.with("normalizer", spaces()), text))
        .containsExactly(
            X,
            SPACE,
            INST,
            SPACE,
            ideographicSpace[0],
            ideographicSpace[1],
            ideographicSpace[2],
            LINE_FEED,
            X);
    file.added("[INST]", INST, true, "rstrip");
    assertThat(encode(file, text)).containsExactly(X, SPACE, INST, X);
    file.added("[INST]", INST, true, "lstrip rstrip");
    assertThat(encode(file, text)).containsExactly(X, INST, X);
  }

  private static String spaces() {
    return "{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'}";
  }

  @Test
  void aSingleWordIsNoPartOfOne() {
    TinyPipelines file = TinyPipelines.pieces().added("x", X, false, "single_word");
    file.with("pre_tokenizer", "{'type': 'Metaspace', 'replacement': '\u2581'}");
    // As a token of its own it needs no space before it.
    assertThat(encode(file, "x-x")[0]).isEqualTo(X);
    assertThat(encode(file, "xx")).containsExactly(SPACE, X, X);
  }

  @Test
  void aNormalizedTokenIsFoundAsItLooksThen() {
    TinyPipelines file =
        TinyPipelines.words("he", "[inst]").with("normalizer", "{'type': 'Lowercase'}");
    file.added("[Inst]", 3, true, "normalized");
    assertThat(encode(file, "HE[INST]he")).containsExactly(1, 3, 1);
    file.added("[Inst]", 3, true, "");
    assertThat(encode(file, "HE[Inst]he")).containsExactly(1, 3, 1);
    assertThat(encode(file, "[INST]")).containsExactly(2);
  }

  /** Where the normaliser moves characters, the marks of the text move along. */
  @Test
  void inputNeverBecomesControl() {
    TinyPipelines file = TinyPipelines.words("he", "[inst]");
    file.with(
        "normalizer",
        "{'type': 'Sequence', 'normalizers': [{'type': 'NFKC'}, {'type': 'Lowercase'}]}");
    file.with("pre_tokenizer", "{'type': 'Whitespace'}");
    file.added("[Inst]", 3, true, "normalized");
    Tokenizer tokenizer = file.tokenizer();
    MarkedText text =
        MarkedText.control("\u33A1 [INST]").plus(MarkedText.input(" \u33A1 [INST] he"));
    assertThat(tokenizer.encode(text, false)).containsOnlyOnce(3).endsWith(1);
    // Nor by way of the model, whose vocabulary has the token too.
    TinyPipelines words = TinyPipelines.words("he", "<s>").added("<s>", 2, true, "");
    words.with("pre_tokenizer", "{'type': 'WhitespaceSplit'}");
    assertThat(words.tokenizer().encode("<s> he", false, true)).containsExactly(2, 1);
    assertThat(words.tokenizer().encode("<s> he", false, false)).containsExactly(0, 1);
  }

  @Test
  void aStreamGivesWhatAllTokensGive() {
    Tokenizer tokenizer =
        TinyPipelines.pieces()
            .with(
                "decoder",
                """
                {'type': 'Sequence', 'decoders': [
                  {'type': 'Replace', 'pattern': {'String': '\u2581'}, 'content': ' '},
                  {'type': 'ByteFallback'}, {'type': 'Fuse'},
                  {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}]}
                """)
            .tokenizer();
    assertThat(tokenizer.decode(new int[] {SPACE_HE, SPACE_HE}, false)).isEqualTo("he he");
    StreamDecoder begins = tokenizer.stream(-1, _ -> false);
    assertThat(begins.next(SPACE_HE)).isEqualTo("he");
    assertThat(begins.next(BYTES + 0xC3)).isEmpty();
    assertThat(begins.next(BYTES + 0xA9)).isEmpty();
    assertThat(begins.next(1)).isEmpty();
    assertThat(begins.next(A)).isEqualTo("\u00E9a");
    assertThat(begins.next(BYTES + 0xC3)).isEmpty();
    assertThat(begins.finish()).isEqualTo("\uFFFD");
    assertThat(tokenizer.stream(A, _ -> false).next(SPACE_HE)).isEqualTo(" he");
    assertThat(tokenizer.stream(INST, _ -> false).next(SPACE_HE)).isEqualTo("he");
    assertThat(tokenizer.bytes(SPACE_HE, false)).isEqualTo(" he".getBytes(StandardCharsets.UTF_8));
    assertThat(tokenizer.bytes(BYTES + 0xC3, false)).containsExactly(0xC3);
    assertThat(tokenizer.bytes(INST, false)).isEmpty();
    assertThat(tokenizer.bytes(INST, true)).asString(StandardCharsets.UTF_8).isEqualTo("[INST]");
    // A word of its own has a space before it, but not what steers.
    Tokenizer words = TinyPipelines.words("he", "<s>").added("<s>", 2, true, "").tokenizer();
    assertThat(words.bytes(1, true)).asString(StandardCharsets.UTF_8).isEqualTo(" he");
    assertThat(words.bytes(2, true)).asString(StandardCharsets.UTF_8).isEqualTo("<s>");
  }

  /** A trie of the one string ﬁ, which becomes fi, as SentencePiece packs it. */
  @Test
  void aPrecompiledTableIsRead() {
    byte[] key = "\uFB01".getBytes(StandardCharsets.UTF_8);
    int[] units = new int[1024];
    int at = 0;
    int offset = 256;
    units[0] = offset << 10;
    for (int i = 0; i < key.length; i++) {
      at = (at ^ offset) ^ (key[i] & 0xFF);
      offset = 256;
      units[at] = offset << 10 | (i == key.length - 1 ? 1 << 8 : 0) | (key[i] & 0xFF);
      if (i == key.length - 1) {
        units[at ^ offset] = 1 << 31;
      }
    }
    ByteBuffer table = ByteBuffer.allocate(4 + units.length * 4 + 3).order(ByteOrder.LITTLE_ENDIAN);
    table.putInt(units.length * 4);
    for (int unit : units) {
      table.putInt(unit);
    }
    table.put("fi\0".getBytes(StandardCharsets.UTF_8));
    String base64 = Base64.getEncoder().encodeToString(table.array());
    TinyPipelines file =
        TinyPipelines.words("fin", "\u00E9")
            .with("normalizer", "{'type': 'Precompiled', 'precompiled_charsmap': '" + base64 + "'}")
            .with("pre_tokenizer", "{'type': 'Whitespace'}");
    assertThat(encode(file, "\uFB01n \u00E9")).containsExactly(1, 2);
    file.with("normalizer", "{'type': 'Precompiled', 'precompiled_charsmap': 'AAAA'}");
    assertThatThrownBy(file::tokenizer)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("normalizer.precompiled_charsmap: has no trie");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "normalizer | {'type': 'NFX'} | normalizer.type: 'NFX' is not supported; supported are"
            + " BertNormalizer",
        "normalizer | {'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'kind': 'NFC'}]} |"
            + " normalizer.normalizers[1].type: is missing; must be a string",
        "normalizer | {'type': 'Replace', 'pattern': {'Regex': '(?~a)'}, 'content': ''} |"
            + " normalizer.pattern.Regex: '(?~a)' is no regular expression that is supported",
        "pre_tokenizer | {'type': 'Splits'} | pre_tokenizer.type: 'Splits' is not supported",
        "pre_tokenizer | {'type': 'Split', 'pattern': {'String': 'a'}, 'behavior': 'Kept',"
            + " 'invert': false} | pre_tokenizer.behavior: 'Kept' is not known; known are Removed",
        "pre_tokenizer | {'type': 'Metaspace', 'replacement': '__'} | pre_tokenizer.replacement:"
            + " must be one character, and is \"__\"",
        "pre_tokenizer | [] | pre_tokenizer: must be an object, and is []",
        "post_processor | {'type': 'Other'} | post_processor.type: 'Other' is not supported",
        "post_processor | {'type': 'BertProcessing', 'sep': ['a', 9999], 'cls': ['b', 0]} |"
            + " post_processor.sep: 9999 is not in the vocabulary",
        "decoder | {'type': 'Other'} | decoder.type: 'Other' is not supported; supported are"
            + " BPEDecoder"
      })
  void whatIsNotKnownIsNamed(String part, String json, String message) {
    assertThatThrownBy(TinyPipelines.pieces().with(part, json)::tokenizer)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(message);
  }

  @Test
  void theOrderOfFieldsDoesNotMatter() {
    int[] usual = encode(TinyPipelines.bytes(), "hello<|end|>");
    assertThat(usual).containsExactly(256, 257, 'o', 258);
    assertThat(encode(TinyPipelines.bytes().vocabularyLast(), "hello<|end|>"))
        .containsExactly(usual);
  }

  /** The library takes the ids of the vocabulary, and otherwise the next one, whatever is said. */
  @Test
  void anAddedTokenHasTheIdOfTheVocabulary() {
    TinyPipelines file = TinyPipelines.words("he").added("he", 7, false, "");
    file.added("<x>", 70, true, "").added("<y>", 5, true, "");
    assertThat(encode(file, "<y>he<x>")).containsExactly(3, 1, 2);
  }

  @Test
  void whatTheModelCannotDoIsNamed() {
    assertThatThrownBy(TinyPipelines.bytes().model("dropout", "0.1")::tokenizer)
        .hasMessageContaining("model.dropout: must be null");
    TinyPipelines unknown = TinyPipelines.words("he").model("unk_token", "'?'");
    assertThatThrownBy(() -> encode(unknown, "she"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("model.unk_token: \"?\" is not in the vocabulary, and 'she'");
  }
}
