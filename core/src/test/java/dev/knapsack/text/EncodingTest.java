package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What small vocabularies make of texts, worked out by hand. */
class EncodingTest {
  private static final int LL = 256;
  private static final int HE = 257;
  private static final int HELLO = 259;
  private static final int SPACE_W = 260;
  private static final int OR = 261;
  private static final int AA = 262;
  private static final int AAAA = 263;
  private static final int HELL = 265;
  private static final int NOTE = 266;
  private static final int BOS = 267;
  private static final int END = 268;
  private static final int ENDING = 269;
  private static final int IM_END = 270;

  private final Tokenizer bytePairs = TinyVocabularies.bytePairs().tokenizer();
  private final Tokenizer sentencePieces = TinyVocabularies.sentencePieces().tokenizer();

  private static int[] plain(Tokenizer tokenizer, String text) {
    return tokenizer.encode(text, false, false);
  }

  @Test
  void bytePairsMergeByRankThenFromTheLeft() {
    assertThat(plain(bytePairs, "hello world")).containsExactly(HELLO, SPACE_W, OR, 'l', 'd');
    // Three a: the left two merge. Five: two pairs, then one of pairs.
    assertThat(plain(bytePairs, "aaa")).containsExactly(AA, 'a');
    assertThat(plain(bytePairs, "aaaaa")).containsExactly(AAAA, 'a');
    // "h e" has a worse rank than "l l" but both come about; "hell" is a token no merge makes.
    assertThat(plain(bytePairs, "hell")).containsExactly(HE, LL);
    assertThat(plain(bytePairs, "")).isEmpty();
  }

  @Test
  void theLongestMatchIsTakenWhateverFollows() {
    Tokenizer tokenizer = TinyVocabularies.longestMatches().tokenizer();
    int ab = 257;
    // "abcd" would be one token; without its end it is "ab" and a byte.
    assertThat(plain(tokenizer, "abcabcd")).containsExactly(ab, 'c' + 1, ab + 1);
    assertThat(plain(tokenizer, " the\n\n\n")).containsExactly(ab + 2, ab + 3, '\n' + 1);
    // The first two bytes of a character are a token; of another, both.
    assertThat(plain(tokenizer, "\u4E2D")).containsExactly(ab + 4, 0xAD + 1);
    assertThat(plain(tokenizer, "\u00E4")).containsExactly(ab + 5);
    assertThat(plain(tokenizer, "\\n")).containsExactly(ab + 6);
    // What ends an answer is no text, though the text is the same.
    assertThat(plain(tokenizer, "<|im_end|>")).hasSize(10);
    assertThat(plain(tokenizer, "<s>")).hasSize(3);
  }

  @Test
  void theGreatestSumOfScoresIsTaken() {
    Tokenizer tokenizer = TinyVocabularies.scoredPieces().tokenizer();
    int a =
        259; // " a", and then "ab", "bc", " ", "a", "b", "c", "  ", "<user>", "\u00E4" and others
    // "ab" and "c" are -15, "a" and "bc" -12.5; "ab" and "bc" make the most of both.
    assertThat(plain(tokenizer, "abc")).containsExactly(a + 4, a + 2);
    assertThat(plain(tokenizer, "abbc")).containsExactly(a + 1, a + 2);
    assertThat(plain(tokenizer, " abc")).containsExactly(a, a + 2);
    assertThat(plain(tokenizer, "   ")).containsExactly(a + 7, a + 3);
    assertThat(plain(tokenizer, "\u00E4\u00F6")).containsExactly(a + 9, 0xC3 + 3, 0xB6 + 3);
    // "never" has no score; that of "last" is below a letter's as bytes, and above those of four.
    assertThat(plain(tokenizer, "never"))
        .containsExactly('n' + 3, 'e' + 3, 'v' + 3, 'e' + 3, 'r' + 3);
    assertThat(plain(tokenizer, "last")).containsExactly(a + 11);
    assertThat(plain(tokenizer, "<s>")).containsExactly('<' + 3, 's' + 3, '>' + 3);
    assertThat(tokenizer.encode("a<user>", true, false)).containsExactly(a + 4, a + 8);
    TinyMetadata even = TinyVocabularies.scoredPieces();
    List<Float> scores = even.list("scores");
    scores.set(a + 1, -14.5f);
    scores.set(a + 6, -13f);
    scores.set(a + 2, -16.5f);
    // "ab" and "c" are -27.5, as "a" and "bc" are.
    assertThat(plain(even.tokenizer(), "abc")).containsExactly(a + 1, a + 6);
  }

  @Test
  void aWordThatIsATokenSkipsTheMergesWhereTheModelWantsThat() {
    Tokenizer tokenizer = TinyVocabularies.bytePairs().with("pre", "llama-bpe").tokenizer();
    assertThat(plain(tokenizer, "hell")).containsExactly(HELL);
    assertThat(plain(tokenizer, "hells")).containsExactly(HE, LL, 's');
    assertThat(tokenizer.encode("a", true, false)).containsExactly(BOS, 'a');
  }

  @Test
  void theBeginningIsNotAddedToATextThatWritesIt() {
    Tokenizer tokenizer = TinyVocabularies.bytePairs().with("add_bos_token", true).tokenizer();
    assertThat(tokenizer.encode("<|bos|>a", true, true)).containsExactly(BOS, 'a');
    assertThat(tokenizer.encode("<|bos|>", true, false)).hasSize(8).startsWith(BOS);
    assertThat(tokenizer.encode("<|bos|><|bos|>", true, true)).containsExactly(BOS, BOS);
    assertThat(tokenizer.encode("a<|bos|>", true, true)).containsExactly(BOS, 'a', BOS);
    assertThat(tokenizer.encode("", true, true)).containsExactly(BOS);
  }

  @Test
  void halfASurrogatePairIsReadAsTheReplacementCharacter() {
    assertThat(plain(bytePairs, "\uD83D")).containsExactly(0xEF, 0xBF, 0xBD);
    assertThat(plain(bytePairs, "\uDE00a")).containsExactly(0xEF, 0xBF, 0xBD, 'a');
    assertThat(plain(bytePairs, "\uD83D\uDE00")).containsExactly(264, 0x98, 0x80);
  }

  @Test
  void controlTokensAreReadOnlyWhereTheTextMaySteer() {
    assertThat(bytePairs.encode("<|end|>", false, true)).containsExactly(END);
    assertThat(bytePairs.encode("<|end|>", false, false)).hasSize(7);
    assertThat(bytePairs.encode("a<note>a", false, false)).containsExactly('a', NOTE, 'a');
  }

  @Test
  void piecesOfTextDoNotAddUpToATokenThatSteers() {
    Tokenizer pieces =
        TinyVocabularies.sentencePieces("<user>", "<", "/", "s", ">", "</", "</s", "<s")
            .tokenizer();
    assertThat(plain(pieces, "a</s><s>")).doesNotContain(1, 2);
    assertThat(pieces.encode("a</s><s>", false, true)).endsWith(2, 1);
    Tokenizer words =
        TinyVocabularies.bytePairs()
            .with("pre", "llama-bpe")
            .with("eos_token_id", HELL)
            .tokenizer();
    assertThat(plain(words, "hell")).containsExactly(HE, LL);
    assertThat(words.encode("hell", false, true)).containsExactly(HELL);
  }

  @ParameterizedTest
  @ValueSource(strings = {"<|user|>", "<\uFF5CUser\uFF5C>", "<start_of_turn>", "[INST]"})
  void userDefinedTokensThatMarkTurnsSteer(String mark) {
    Tokenizer tokenizer = TinyVocabularies.sentencePieces(mark).tokenizer();
    assertThat(tokenizer.encode(mark, false, true)).containsExactly(267);
    assertThat(tokenizer.encode(mark, false, false)).doesNotContain(267);
  }

  @Test
  void ofSpecialTokensAtOnePlaceTheLongestIsRead() {
    assertThat(bytePairs.encode("<|end|>ing<|end|>in<|end|><|end|>ing", false, true))
        .containsExactly(ENDING, END, 'i', 'n', END, ENDING);
    assertThat(bytePairs.encode("<|en<|end|", false, true))
        .isEqualTo(bytePairs.encode("<|en<|end|", false, false));
  }

  @Test
  void controlTokensAreNoText() {
    int[] tokens = {BOS, HELLO, NOTE, END};
    assertThat(bytePairs.decode(tokens, false)).isEqualTo("hello<note>");
    assertThat(bytePairs.decode(tokens, true)).isEqualTo("<|bos|>hello<note><|end|>");
    assertThat(bytePairs.isControl(END)).isTrue();
    assertThat(bytePairs.isControl(NOTE)).isFalse();
    assertThat(bytePairs.bytes(SPACE_W, false)).isEqualTo(" w".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void tokensThatEndAnAnswerAreFoundByNameToo() {
    assertThat(bytePairs.endTokens()).containsExactly(END, IM_END);
    assertThat(bytePairs.eos()).isEqualTo(END);
    assertThat(bytePairs.bos()).isEqualTo(BOS);
    assertThat(sentencePieces.endTokens()).containsExactly(2);
    assertThat(bytePairs.find("<|im_end|>")).isEqualTo(IM_END);
    assertThat(bytePairs.find("<|im_start|>")).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 4, 5})
  void knownNamesEndAnAnswerWhateverTheirType(int type) {
    List<String> tokens = List.of("<unk>", "<s>", "</s>", "<end_of_turn>", "<fim_pad>", "a", "b");
    Tokenizer tokenizer =
        TinyVocabularies.sentencePieces()
            .with("tokens", tokens)
            .with("token_type", List.of(2, 3, 3, type, type, 1, 1))
            .with("scores", List.of(0, 0, 0, 0, 0, 0, 0))
            .with("eos_token_ids", List.of(2L, 6L, 99L))
            .tokenizer();
    assertThat(tokenizer.endTokens()).containsExactly(2, 3, 4, 6);
    assertThat(tokenizer.decode(new int[] {5, 3, 4, 6}, false)).isEqualTo("a");
    assertThat(tokenizer.encode("<end_of_turn>", false, true)).containsExactly(3);
    assertThat(tokenizer.notes())
        .containsExactly(
            "tokenizer.ggml.eos_token_ids has 99, and the vocabulary ends at 6; it is left out");
  }

  @Test
  void idsThatAreNoTokensAreReplacedAndSaidAsTheFileHasThem() {
    Tokenizer tokenizer =
        TinyVocabularies.sentencePieces()
            .with("bos_token_id", new BigInteger("18446744073709551615"))
            .with("eos_token_id", -1)
            .with("eos_token_ids", List.of(2L, -7L))
            .tokenizer();
    int last = tokenizer.size() - 1;
    assertThat(tokenizer.bos()).isEqualTo(1);
    assertThat(tokenizer.endTokens()).contains(2);
    assertThat(tokenizer.notes())
        .containsExactly(
            "tokenizer.ggml.bos_token_id is 18446744073709551615, and the vocabulary ends at %d; 1,"
                    .formatted(last)
                + " as is usual, is taken",
            "tokenizer.ggml.eos_token_id is -1, and the vocabulary ends at %d; 2, as is usual, is"
                    .formatted(last)
                + " taken",
            "tokenizer.ggml.eos_token_ids has -7, and the vocabulary ends at %d; it is left out"
                .formatted(last));
  }

  @Test
  void endOfAPartIsNotTheEndOfTheAnswer() {
    List<String> tokens = List.of("<|end|>", "<|return|>", "<|call|>", "a");
    Tokenizer tokenizer =
        TinyVocabularies.sentencePieces()
            .with("tokens", tokens)
            .with("token_type", List.of(3, 3, 3, 1))
            .with("scores", List.of(0, 0, 0, 0))
            .with("eos_token_id", 1)
            .tokenizer();
    assertThat(tokenizer.endTokens()).containsExactly(1, 2);
  }

  @Test
  void sentencePiecesMergeByScore() {
    int spaceA = 259;
    int ab = 260;
    int bc = 261;
    int space = 262;
    int a = 263;
    int c = 265;
    int spaces = 266;
    // "_ a" (-1) goes before "b c" (-1.5); then "a b" is no longer there.
    assertThat(plain(sentencePieces, "abc")).containsExactly(spaceA, bc);
    // Two spaces (-0.5) go first: then "a b" (-2) is left to "b c" (-1.5).
    assertThat(plain(sentencePieces, " abc")).containsExactly(spaces, a, bc);
    assertThat(plain(sentencePieces, "cab")).containsExactly(space, c, ab);
    assertThat(sentencePieces.encode("a", true, false)).containsExactly(1, spaceA);
    // Unknown characters become bytes.
    assertThat(plain(sentencePieces, "\u00E9")).containsExactly(space, 3 + 0xC3, 3 + 0xA9);
  }

  @Test
  void aSpaceGoesBeforeTextThatFollowsNothingOrASpecialToken() {
    int user = 267;
    assertThat(plain(sentencePieces, "a<user>a")).containsExactly(259, user, 259);
    assertThat(sentencePieces.decode(new int[] {259, user, 259, 259}, false))
        .isEqualTo("a<user>a a");
    Tokenizer bare = TinyVocabularies.sentencePieces().with("add_space_prefix", false).tokenizer();
    assertThat(plain(bare, "a")).containsExactly(263);
    assertThat(bare.decode(new int[] {259}, false)).isEqualTo(" a");
  }

  @Test
  void aStreamKnowsWhetherItContinuesAText() {
    assertThat(sentencePieces.stream(-1, _ -> false).next(259)).isEqualTo("a");
    assertThat(sentencePieces.stream(1, _ -> false).next(259)).isEqualTo("a");
    assertThat(sentencePieces.stream(259, _ -> false).next(259)).isEqualTo(" a");
  }

  @Test
  void aStreamShowsTheControlTokensThatItIsToldTo() {
    assertThat(sentencePieces.isControl(1)).isTrue();
    assertThat(sentencePieces.stream(-1, token -> token == 2).next(1)).isEmpty();
    assertThat(sentencePieces.stream(-1, token -> token == 1).next(1)).isEqualTo("<s>");
  }

  @Test
  void someModelsSwallowTheBlanksAfterSpecialTokens() {
    Tokenizer tokenizer =
        TinyVocabularies.sentencePieces().set("general.name", "Phi-3 mini").tokenizer();
    assertThat(tokenizer.encode("<user> \n a", false, true)).containsExactly(267, 259);
    assertThat(tokenizer.encode("<s>  a", false, true)).hasSize(3).startsWith(1);
    assertThat(sentencePieces.encode("<user> a", false, true)).hasSize(3);
  }

  @Test
  void charactersMergeAndFallBackToBytes() {
    Tokenizer tokenizer = TinyVocabularies.characterPairs().tokenizer();
    assertThat(plain(tokenizer, " ab a")).containsExactly(263, 262);
    assertThat(plain(tokenizer, "\u00E4\u00F6")).containsExactly(261, 0xC3, 0xB6);
    assertThat(plain(tokenizer, "a\n\nb\n\n\n")).containsExactly(257, 260, 258, 259, 259, 259);
    assertThat(tokenizer.encode("b", true, false)).containsExactly(264, 258);
    assertThat(tokenizer.decode(new int[] {263, 0xC3, 0xB6}, false)).isEqualTo(" ab\u00F6");
  }

  @Test
  void wordPiecesAreTheLongestThatFit() {
    Tokenizer tokenizer = TinyVocabularies.wordPieces().tokenizer();
    assertThat(plain(tokenizer, "Playings CAF\u00C9!\u6211 ")).containsExactly(3, 4, 8, 5, 6, 7);
    // A word is known in whole or not at all.
    assertThat(plain(tokenizer, "playx play")).containsExactly(0, 3);
    assertThat(plain(tokenizer, "play" + "s".repeat(96))).hasSize(97);
    assertThat(plain(tokenizer, "play" + "s".repeat(97))).containsExactly(0);
    assertThat(tokenizer.encode("play", true, false)).containsExactly(1, 3, 2);
    assertThat(tokenizer.decode(new int[] {1, 3, 4, 5, 2}, false)).isEqualTo("playing cafe");
  }
}
