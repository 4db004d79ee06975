package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * A check that the bytes of a file are what its name says, by how they begin: servers answer with
 * pages where there should be files.
 */
final class ModelBytes {
  private static final String TYPE = "general.type";
  private static final int MOST_KEYS = 16;
  private static final int MOST_TEXT = 1 << 16;
  private static final int SHOWN = 40;

  private ModelBytes() {}

  /**
   * Says what is wrong with a file that has come, if it is not what it should be: JSON, text or
   * safetensors by its name, and a GGUF model whatever else it is called.
   */
  static Optional<String> problem(Path name, HeaderInput.Source bytes) throws IOException {
    String lower = String.valueOf(name.getFileName()).toLowerCase(Locale.ROOT);
    String begin = begin(bytes);
    if (lower.endsWith(".safetensors")) {
      boolean header = bytes.size() > 9 && begin.charAt(8) == '{';
      return header ? Optional.empty() : Optional.of(no("safetensors file", begin));
    }
    if (lower.endsWith(".json")) {
      return begin.stripLeading().matches("(?s)[{\\[].*")
          ? Optional.empty()
          : Optional.of(no("JSON file", begin));
    }
    if (lower.endsWith(".jinja")) {
      return isPage(begin) ? Optional.of(no("template", begin)) : Optional.empty();
    }
    if (!begin.startsWith("GGUF")) {
      return Optional.of(no("GGUF file", begin));
    }
    try {
      return gguf(name, bytes);
    } catch (ModelFileException e) {
      return Optional.of("no whole GGUF file came: " + e.getMessage());
    }
  }

  /** By the keys in front; what is wrong with others is said when the model is opened. */
  private static Optional<String> gguf(Path name, HeaderInput.Source bytes) {
    HeaderInput in = new HeaderInput(name, bytes);
    in.i32("magic");
    in.i32("version");
    long tensors = in.i64("tensor_count");
    long keys = in.i64("metadata_kv_count");
    if (tensors == 0 && new GgufName(name.toString()).parts() == 1) {
      return Optional.of("it holds no tensors, and so is a vocabulary and no model");
    }
    for (long i = 0; i < Math.min(keys, MOST_KEYS); i++) {
      String key = in.string("key " + i, MOST_TEXT);
      ValueType type = ValueType.of(in.i32(key));
      if (type == null || type == ValueType.ARRAY) {
        return Optional.empty();
      }
      if (type != ValueType.STRING) {
        in.bytes(key, new byte[type.bytes], 0, type.bytes);
        continue;
      }
      String value = in.string(key, MOST_TEXT);
      if (key.equals(TYPE) && !value.equals("model")) {
        return Optional.of("it says that it is of the type '" + value + "', and no model");
      }
    }
    return Optional.empty();
  }

  private static String begin(HeaderInput.Source bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(512);
    int read;
    do {
      read = bytes.read(buffer, buffer.position());
    } while (read > 0 && buffer.hasRemaining());
    return new String(buffer.array(), 0, buffer.position(), StandardCharsets.ISO_8859_1);
  }

  private static boolean isPage(String begin) {
    return begin.stripLeading().matches("(?is)<(!doctype\\s+html|html|head|body)\\b.*");
  }

  private static String no(String wanted, String begin) {
    String shown = begin.length() > SHOWN ? begin.substring(0, SHOWN) + "…" : begin;
    return "%s came, and no %s: it begins with '%s'"
        .formatted(
            begin.isEmpty() ? "nothing" : isPage(begin) ? "a web page" : "something else",
            wanted,
            shown.replaceAll("[^ -~…]", "."));
  }
}
