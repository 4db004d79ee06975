package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StreamDecoderTest {
  /** Tokens 0 to 255 are the bytes. */
  private final Tokenizer bytes = TinyVocabularies.bytePairs().tokenizer();

  @Test
  void aCharacterComesWhole() {
    StreamDecoder stream = bytes.stream(-1, _ -> false);
    assertThat(stream.next(0xF0)).isEmpty();
    assertThat(stream.next(0x9F)).isEmpty();
    assertThat(stream.next(0x98)).isEmpty();
    assertThat(stream.next(0x80)).isEqualTo("\uD83D\uDE00");
    assertThat(stream.finish()).isEmpty();
  }

  @Test
  void whatCannotBecomeACharacterIsReplacedAtOnce() {
    StreamDecoder stream = bytes.stream(-1, _ -> false);
    assertThat(stream.next(0xFF)).isEqualTo("\uFFFD");
    assertThat(stream.next(0xE2)).isEmpty();
    assertThat(stream.next('a')).isEqualTo("\uFFFDa");
    assertThat(stream.next(0xE2)).isEmpty();
    assertThat(stream.next(0x96)).isEmpty();
    assertThat(stream.finish()).isEqualTo("\uFFFD");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void thePiecesAreValidAndMakeTheWhole(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] leads = {0xC3, 0xE2, 0xED, 0xE0, 0xF0, 0xF4, 0x80, 0x96, 0xA0, 0xBF, 'a', 0xFF, 0xC0};
    for (int round = 0; round < 200; round++) {
      int[] tokens = new int[random.nextInt(1, 40)];
      byte[] plain = new byte[tokens.length];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = leads[random.nextInt(leads.length)];
        plain[i] = (byte) tokens[i];
      }
      StreamDecoder stream = bytes.stream(-1, _ -> false);
      StringBuilder text = new StringBuilder();
      for (int token : tokens) {
        String piece = stream.next(token);
        assertThat(StandardCharsets.UTF_8.newEncoder().canEncode(piece)).isTrue();
        text.append(piece);
      }
      text.append(stream.finish());
      assertThat(text.toString())
          .isEqualTo(bytes.decode(tokens, false))
          .isEqualTo(new String(plain, StandardCharsets.UTF_8));
    }
  }
}
