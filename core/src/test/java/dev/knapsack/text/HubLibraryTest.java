package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.HandMadeMetadata;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokenizers of all kinds do what the hub's own library does with the same file. */
class HubLibraryTest {
  private static final int FILES = 200;
  private static final int TEXTS = 8;

  /** What begins a text in {@link RandomTokenizers}. */
  private static final int BEGIN = 1;

  @TempDir Path folder;

  @Test
  void theSameTokensAndTheSameTexts() throws IOException {
    int cases = 0;
    for (int seed = 0; seed < FILES; seed++) {
      RandomTokenizers random = new RandomTokenizers(seed);
      String json = random.json();
      Tokenizer tokenizer = tokenizer(json);
      try (HubLibrary library = new HubLibrary(json)) {
        for (int n = 0; n < TEXTS; n++) {
          String text = random.text();
          for (boolean special : new boolean[] {true, false}) {
            int[] expected = onceBegun(library.encode(text, special));
            assertThat(tokenizer.encode(text, special, true))
                .as("seed %d, special %s, '%s', %s", seed, special, text, json)
                .containsExactly(expected);
            int[] ids = n % 2 == 0 ? expected : random.ids();
            if (ids.length > 0) {
              assertThat(tokenizer.decode(ids, special))
                  .as("seed %d, special %s, %s, %s", seed, special, Arrays.toString(ids), json)
                  .isEqualTo(library.decode(ids, special));
            }
            cases += ids.length > 0 ? 2 : 1;
          }
        }
      }
    }
    assertThat(cases).isGreaterThan(5_000);
  }

  /** A text that begins with the token that begins a text does not get it twice. */
  private static int[] onceBegun(int[] tokens) {
    boolean twice = tokens.length > 1 && tokens[0] == BEGIN && tokens[1] == BEGIN;
    return twice ? Arrays.copyOfRange(tokens, 1, tokens.length) : tokens;
  }

  private Tokenizer tokenizer(String json) throws IOException {
    Path file = folder.resolve("tokenizer.json");
    Files.writeString(file, json);
    return Tokenizers.of(
        HandMadeMetadata.of(file, Map.of()), HandMadeMetadata.tokenizer(file), file);
  }
}
