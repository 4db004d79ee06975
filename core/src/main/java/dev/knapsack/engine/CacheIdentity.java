package dev.knapsack.engine;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.LatentAttention;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.ModelIdentity;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** The identity of the caches of one model, opened in one way, among all others. */
final class CacheIdentity {
  /** Grows whenever the engine computes other keys and values for the same tokens. */
  static final String ENGINE = "1";

  private CacheIdentity() {}

  static Fingerprint of(ModelFile file, ModelSpec spec, KvLayout layout) {
    return new Fingerprint(
        ModelIdentity.of(file),
        spec.name(),
        shape(spec),
        Fingerprint.formats(layout),
        recipe(layout.policy()),
        ENGINE);
  }

  /**
   * A number that tells arithmetic that gives the same to the bit, for what is computed alone, from
   * other; not 0.
   *
   * @param kernels the reason for the arithmetic in use, with the processor's abilities
   */
  static long arithmetic(String kernels, Compute.Precision precision, Plan plan) {
    MessageDigest digest = sha256();
    add(digest, kernels);
    add(digest, "%s %d %d".formatted(precision, plan.prefillChunk(), plan.sequences()));
    return ByteBuffer.wrap(digest.digest()).getLong() | 1;
  }

  /** With what tells the bases by which tokens are held from others. */
  private static String recipe(KvPolicy policy) {
    return policy
        .bounds()
        .bases()
        .map(b -> policy.name() + " by " + b.identity())
        .orElse(policy.name());
  }

  /** All that keys and values depend on besides the file, such as a rope for long contexts. */
  private static String shape(ModelSpec spec) {
    MessageDigest digest = sha256();
    add(digest, spec.family() + " " + spec.width());
    for (LayerSpec layer : spec.layers()) {
      for (Block block : layer.blocks()) {
        switch (block) {
          case Attention attention -> add(digest, attention);
          case LatentAttention attention -> add(digest, attention);
          default -> {}
        }
      }
    }
    return hex(digest);
  }

  private static void add(MessageDigest digest, Attention attention) {
    add(
        digest,
        "%d %d %d %d %s %s %d"
            .formatted(
                attention.heads(),
                attention.kvHeads(),
                attention.keySize(),
                attention.valueSize(),
                attention.scale(),
                attention.softCap(),
                attention.window()));
    add(digest, attention.rope());
    add(digest, String.valueOf(attention.queryScale()));
  }

  private static void add(MessageDigest digest, LatentAttention attention) {
    add(
        digest,
        "latent %d %d %d %d %s"
            .formatted(
                attention.heads(),
                attention.content(),
                attention.plain(),
                attention.rotated(),
                attention.scale()));
    add(digest, attention.rope());
  }

  private static void add(MessageDigest digest, @Nullable Rope rope) {
    if (rope != null) {
      add(digest, rope.pairs() + " " + rope.dimensions() + " " + rope.magnitude());
      add(digest, Arrays.toString(rope.frequencies()));
    }
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

  private static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest(), 0, 8);
  }
}
