package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;

/**
 * A map of a head's keys, or of its values, to the fewer numbers that are held of them.
 *
 * <p>Nothing is put back together to attend: a query is reduced instead, once, and meets reduced
 * keys; reduced values are added up as they are, and the sum is put back together once. Both give
 * what whole keys and values would that have lost what is not held.
 */
public sealed interface Reduction {
  /** Numbers that are held of a vector. */
  int held();

  /**
   * Takes of a vector what is held.
   *
   * @param held receives it: {@link #held()} numbers
   */
  void reduce(float[] vector, float[] held);

  /** The vector that is left when only this is held. */
  void restore(float[] held, float[] vector);

  /**
   * Refuses vectors of so many numbers if they cannot be reduced so.
   *
   * @throws IllegalArgumentException if not
   * @throws IndexOutOfBoundsException if not
   */
  void check(int size);

  /**
   * Some channels as they are; the others become 0.
   *
   * @param channels which, ascending
   */
  record Channels(int[] channels) implements Reduction {
    @Override
    public int held() {
      return channels.length;
    }

    @Override
    public void reduce(float[] vector, float[] held) {
      for (int i = 0; i < channels.length; i++) {
        held[i] = vector[channels[i]];
      }
    }

    @Override
    public void restore(float[] held, float[] vector) {
      Arrays.fill(vector, 0);
      for (int i = 0; i < channels.length; i++) {
        vector[channels[i]] = held[i];
      }
    }

    @Override
    public void check(int size) {
      for (int channel : channels) {
        Objects.checkIndex(channel, size);
      }
    }
  }

  /**
   * Products with some directions: of {@code x} is held {@code in · x}, and left {@code outᵀ · in ·
   * x}.
   *
   * @param in held × size
   * @param out held × size
   */
  record Directions(Matrix in, Matrix out) implements Reduction {
    @Override
    public int held() {
      return in.rows();
    }

    @Override
    public void reduce(float[] vector, float[] held) {
      float[] direction = new float[in.columns()];
      MemorySegment decoded = MemorySegment.ofArray(direction);
      for (int i = 0; i < in.rows(); i++) {
        in.format().decode(in.data(), in.rowOffset(i), decoded, 0, direction.length);
        float sum = 0;
        for (int c = 0; c < direction.length; c++) {
          sum += direction[c] * vector[c];
        }
        held[i] = sum;
      }
    }

    @Override
    public void restore(float[] held, float[] vector) {
      float[] direction = new float[out.columns()];
      MemorySegment decoded = MemorySegment.ofArray(direction);
      Arrays.fill(vector, 0);
      for (int i = 0; i < out.rows(); i++) {
        out.format().decode(out.data(), out.rowOffset(i), decoded, 0, direction.length);
        for (int c = 0; c < direction.length; c++) {
          vector[c] += held[i] * direction[c];
        }
      }
    }

    @Override
    public void check(int size) {
      if (in.columns() != size || out.columns() != size || out.rows() != in.rows()) {
        throw new IllegalArgumentException(
            "Vectors of %d numbers by %d × %d and %d × %d directions"
                .formatted(size, in.rows(), in.columns(), out.rows(), out.columns()));
      }
    }
  }
}
