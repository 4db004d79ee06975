package dev.knapsack.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.HandMadeMetadata;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A vocabulary of 151,643 tokens with 151,387 merges, and 6,000 added, is read in little heap. */
class LargeTokenizerTest {
  private static final int TOKENS = 151_643;
  private static final int ADDED = 6_000;
  private static final int LETTERS = 26;
  private static final String HEAP = "-Xmx20m";

  @TempDir Path folder;

  @Test
  void aLargeVocabularyNeedsLittleHeap() throws IOException, InterruptedException {
    Path file = folder.resolve("tokenizer.json");
    write(file);
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                HEAP,
                "-Xmn4m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
                "-cp",
                System.getProperty("java.class.path"),
                LargeTokenizerTest.class.getName(),
                file.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    // Pairs of letters come first: "abcd" is "ab" and "cd", and those do not merge.
    assertThat(said.strip())
        .isEqualTo(Arrays.toString(new int[] {256 + 1, 256 + 2 * LETTERS + 3, TOKENS + 7}));
  }

  /** Reads the file and encodes a text, in a process of its own. */
  public static void main(String[] files) {
    Path file = Path.of(files[0]);
    Tokenizer tokenizer =
        Tokenizers.of(HandMadeMetadata.of(file, Map.of()), HandMadeMetadata.tokenizer(file), file);
    System.out.println(Arrays.toString(tokenizer.encode("abcd<added7>", false, true)));
  }

  private static void write(Path file) throws IOException {
    StringBuilder merges = new StringBuilder();
    try (Writer out = Files.newBufferedWriter(file)) {
      out.write("{\"added_tokens\": [");
      for (int i = 0; i < ADDED; i++) {
        out.write(
            "%s{\"id\": %d, \"content\": \"<added%d>\"}"
                .formatted(i == 0 ? "" : ",", TOKENS + i, i));
      }
      out.write("], \"model\": {\"type\": \"BPE\", \"vocab\": {");
      for (int b = 0; b < 256; b++) {
        char c = ByteAlphabet.character(b);
        out.write(
            (b == 0 ? "" : ",\n") + "\"" + ("\"\\".indexOf(c) < 0 ? "" : "\\") + c + "\": " + b);
      }
      String[] last = new String[LETTERS];
      Arrays.setAll(last, i -> String.valueOf((char) ('a' + i)));
      int id = 256;
      while (id < TOKENS) {
        String[] longer = new String[last.length * LETTERS];
        for (int i = 0; i < longer.length && id < TOKENS; i++) {
          char letter = (char) ('a' + i % LETTERS);
          longer[i] = last[i / LETTERS] + letter;
          out.write(",\n\"" + longer[i] + "\": " + id++);
          merges.append(merges.isEmpty() ? "\"" : ",\n\"").append(last[i / LETTERS]);
          merges.append(' ').append(letter).append('"');
        }
        last = longer;
      }
      out.write("}, \"merges\": [" + merges + "]}}");
    }
  }
}
