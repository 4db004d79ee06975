package dev.knapsack.model;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * An identity that tells a model's weights from others.
 *
 * <p>A model is known by a SHA-256 over its metadata (of long lists, such as the vocabulary, their
 * length alone), the name, format and shape of every tensor, and {@value #SAMPLE} bytes from the
 * middle of every tensor: weights that were trained further, merged or quantised anew differ there.
 * Two files that differ nowhere in that, but elsewhere in their weights, are taken for one.
 */
public final class ModelIdentity {
  private static final int SAMPLE = 1024;
  private static final int LONG_LIST = 256;

  private ModelIdentity() {}

  /**
   * Sixteen hexadecimal digits.
   *
   * @throws dev.knapsack.error.ModelFileException if the file cannot be read
   */
  public static String of(ModelFile file) {
    MessageDigest digest = sha256();
    for (Map.Entry<String, Object> entry : file.metadata().all().entrySet()) {
      add(digest, entry.getKey());
      Object value = entry.getValue();
      boolean isLong = value instanceof List<?> list && list.size() > LONG_LIST;
      add(digest, isLong ? "list of " + ((List<?>) value).size() : value.toString());
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sample = arena.allocate(SAMPLE, 64);
      for (TensorInfo tensor : file.tensors().values()) {
        add(digest, tensor.name() + " " + tensor.format().name() + " " + tensor.shape());
        MemorySegment bytes = sample.asSlice(0, Math.min(SAMPLE, tensor.bytes()));
        file.read(tensor, (tensor.bytes() - bytes.byteSize()) / 2, bytes);
        digest.update(bytes.asByteBuffer());
      }
    }
    return HexFormat.of().formatHex(digest.digest(), 0, 8);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256", e);
    }
  }

  /** Adds a text, with its length before it, so that where one ends is part of what is hashed. */
  private static void add(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(UTF_8);
    digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
    digest.update(bytes);
  }
}
