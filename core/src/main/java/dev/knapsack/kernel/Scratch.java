package dev.knapsack.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Memory that a call of {@link Kernels} works in: a float array on the heap, whose bounds the
 * compiler checks once where it checks native memory's each time, and the same as machine code
 * reaches it.
 *
 * <p>It is the calling thread's own; what it holds is of no use after the call.
 */
public record Scratch(float[] floats, MemorySegment segment) {
  /** New scratch memory of so many bytes, a multiple of four. */
  public static Scratch of(long bytes) {
    float[] floats = new float[Math.toIntExact(bytes / Float.BYTES)];
    return new Scratch(floats, MemorySegment.ofArray(floats));
  }
}
