package dev.knapsack.text;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;

/** A {@code tokenizer.json} in the hub's own library, through a binding. */
final class HubLibrary implements AutoCloseable {
  private final HuggingFaceTokenizer tokenizer;

  HubLibrary(String json) throws IOException {
    tokenizer =
        HuggingFaceTokenizer.newInstance(
            new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)),
            Map.of("truncation", "false", "padding", "false"));
  }

  int[] encode(String text, boolean addSpecial) {
    return Arrays.stream(tokenizer.encode(text, addSpecial, false).getIds())
        .mapToInt(Math::toIntExact)
        .toArray();
  }

  String decode(int[] tokens, boolean special) {
    return tokenizer.decode(Arrays.stream(tokens).asLongStream().toArray(), !special);
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
