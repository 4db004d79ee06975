package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.BlockFormat;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Every block format that has no class of its own: codes are unpacked number by number. */
final class BlockRow extends RowKernel {
  private final BlockFormat format;

  BlockRow(BlockFormat format) {
    this.format = format;
  }

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    int values = format.blockValues();
    // A vector of 4 floats is made of 8 bytes, of which it leaves the second half.
    byte[] codes = new byte[values + Long.BYTES];
    float[] scales = new float[values / BlockFormat.GROUP];
    float[] offsets = new float[values / BlockFormat.GROUP];
    for (int c = 0; c < columns; c += values) {
      format.unpack(w, offset + format.bytes(c), codes, scales, offsets, 0);
      spread(codes, scales, offsets, target, to + c);
    }
  }

  private static void spread(
      byte[] codes, float[] scales, float[] offsets, float[] target, int at) {
    for (int i = 0; i < scales.length * BlockFormat.GROUP; i += Lanes.LENGTH) {
      int group = i / BlockFormat.GROUP;
      FloatVector q =
          (FloatVector)
              ByteVector.fromArray(Lanes.B, codes, i).convertShape(VectorOperators.B2F, Lanes.F, 0);
      FloatVector y = q.mul(scales[group]).add(offsets[group]);
      Lanes.store(y, target, at + i);
    }
  }
}
