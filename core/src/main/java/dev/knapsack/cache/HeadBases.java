package dev.knapsack.cache;

import dev.knapsack.kernel.Reduction;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Directions of each KV head, found with a model, in which its keys and values take few numbers:
 * after CSKV (Wang et al., arXiv 2409.10593), but of keys as they are cached, after RoPE, so that
 * attention meets reduced keys and nothing is put back together. The first directions say most.
 */
public interface HeadBases {
  /** The file beside a model that holds them. */
  Companion<HeadBases> FILE =
      new Companion<>("cskv.gguf", "'knapsack calibrate MODEL' writes it", HeadBases.class);

  /**
   * The reduction of one KV head's keys and values.
   *
   * @param keys null if all of a key is held
   * @param values null if all of a value is held
   */
  record Head(@Nullable Reduction keys, @Nullable Reduction values) {}

  /** The text that tells these from others of the same model. */
  String identity();

  /** Bytes of those that a layout {@linkplain KvBounds#coarse reduces} heads by. */
  long bytes(KvLayout layout);

  /**
   * Reads those.
   *
   * @param memory {@link #bytes} of it, native
   * @return by layer and KV head; none of layers with a sliding window
   */
  List<List<Head>> read(KvLayout layout, MemorySegment memory);
}
