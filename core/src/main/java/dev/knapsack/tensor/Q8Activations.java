package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Activations in 8 bits, in blocks of 32: a float32 scale, the two 16-bit sums of the codes of each
 * half, 32 signed codes; 40 bytes a block.
 *
 * <p>The sums serve weight formats with offsets: Σ(s·q+o)·x = s·Σq·x + o·Σx.
 */
public final class Q8Activations implements Format {
  public static final Q8Activations FORMAT = new Q8Activations();

  private Q8Activations() {}

  @Override
  public String name() {
    return "Q8_ACT";
  }

  @Override
  public int ggufType() {
    return -1;
  }

  @Override
  public int blockValues() {
    return 32;
  }

  @Override
  public int blockBytes() {
    return 40;
  }

  @Override
  public void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    throw new IllegalStateException("not yet");
  }

  @Override
  public void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    throw new IllegalStateException("not yet");
  }
}
