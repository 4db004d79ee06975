package dev.knapsack.cache;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * The name of a block of tokens that a {@link PrefixStore} keeps: a SHA-256 of what its cache was
 * computed with, of all blocks before it, and of its tokens.
 */
public final class PrefixKey {
  /** Bytes of a digest. */
  public static final int DIGEST = 32;

  private final byte[] before;
  private final byte[] digest;
  private final int depth;
  private final int[] tokens;

  private PrefixKey(byte[] before, byte[] digest, int depth, int[] tokens) {
    this.before = before;
    this.digest = digest;
    this.depth = depth;
    this.tokens = tokens;
  }

  /** The beginning of all that was computed in one way, which these texts say. */
  public static PrefixKey root(List<String> texts) {
    MessageDigest digest = sha256();
    for (String text : texts) {
      byte[] bytes = text.getBytes(UTF_8);
      // With its length before it, so that where one ends is part of what is hashed.
      digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
      digest.update(bytes);
    }
    return new PrefixKey(new byte[DIGEST], digest.digest(), 0, new int[0]);
  }

  /** The block of these tokens that follows. */
  public PrefixKey next(int[] block) {
    ByteBuffer bytes = ByteBuffer.allocate(block.length * Integer.BYTES);
    bytes.asIntBuffer().put(block);
    MessageDigest next = sha256();
    next.update(digest);
    next.update(bytes);
    return new PrefixKey(digest, next.digest(), depth + 1, block);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256", e);
    }
  }

  /** Sixty-four hexadecimal digits. */
  public String name() {
    return HexFormat.of().formatHex(digest);
  }

  /** Its digest. */
  public byte[] digest() {
    return digest.clone();
  }

  /** The digest of the block before it: zeros at a root. */
  public byte[] before() {
    return before.clone();
  }

  /** Blocks up to its end. */
  public int depth() {
    return depth;
  }

  /** Its tokens. */
  public int[] tokens() {
    return tokens.clone();
  }
}
