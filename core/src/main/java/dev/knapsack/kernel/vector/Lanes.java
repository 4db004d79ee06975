package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.stream.IntStream;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shapes in use, and the loads and folds that all kernels share.
 *
 * <p>Everything here is a constant or small enough to be inlined: a vector that escapes compiled
 * code is an object, a hundred times slower.
 */
final class Lanes {
  /** As wide as the processor likes, up to 16 floats: one block format's group. */
  static final VectorSpecies<Float> F =
      FloatVector.SPECIES_PREFERRED.length() > 16
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;

  static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, F.vectorShape());

  /** As many bytes, or 16-bit numbers, as there are floats in a vector. */
  static final VectorSpecies<Byte> B =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, F.length() * 8)));

  /** As many floats as hold a byte for each of a vector's lanes. */
  private static final VectorSpecies<Float> PACKED = VectorSpecies.of(float.class, B.vectorShape());

  static final VectorSpecies<Short> S =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F.length() * 16));

  /** Up to 32 bytes: what K-quants have side by side. */
  private static final VectorSpecies<Integer> WORDS =
      F.length() < 8 ? IntVector.SPECIES_128 : IntVector.SPECIES_256;

  static final int PACKED_BYTES = WORDS.vectorByteSize();

  static final int LENGTH = F.length();
  static final long BYTES = (long) LENGTH * Float.BYTES;

  static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
  static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LE);
  static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(LE);
  static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LE);

  private static final VectorShuffle<Float> ROTATE_8 = rotation(8);
  private static final VectorShuffle<Float> ROTATE_4 = rotation(4);
  private static final VectorShuffle<Float> ROTATE_2 = rotation(2);
  private static final VectorShuffle<Float> ROTATE_1 = rotation(1);

  private static final VectorShuffle<Float> SWAP = VectorShuffle.fromOp(F, i -> i ^ 1);
  private static final int[] FOURS = IntStream.range(0, 16).map(i -> i % 4).toArray();
  private static final VectorMask<Float> FIRST_FOUR = VectorMask.fromLong(F, 0xF);

  private static final IntVector FIFTEEN = IntVector.broadcast(I, 15);

  private static final IntVector INDEX = IntVector.zero(I).addIndex(1);

  private Lanes() {}

  private static VectorShuffle<Float> rotation(int by) {
    return VectorShuffle.fromOp(F, i -> (i + by) % F.length());
  }

  /** The numbers of a row from {@code from} on. */
  static Matrix tail(Matrix x, int row, int from) {
    MemorySegment data = x.data().asSlice(x.rowOffset(row) + 4L * from);
    return new Matrix(x.format(), 1, x.columns() - from, data);
  }

  static FloatVector load(MemorySegment s, long offset) {
    return FloatVector.fromMemorySegment(F, s, offset, LE);
  }

  static void store(FloatVector v, MemorySegment s, long offset) {
    v.intoMemorySegment(s, offset, LE);
  }

  static FloatVector load(float[] memory, int at) {
    return FloatVector.fromArray(F, memory, at);
  }

  static void store(FloatVector v, float[] memory, int at) {
    v.intoArray(memory, at);
  }

  /** Some lanes; the others are 0. */
  static FloatVector load(float[] memory, int at, VectorMask<Float> some) {
    return FloatVector.fromArray(F, memory, at, some);
  }

  static void store(FloatVector v, float[] memory, int at, VectorMask<Float> some) {
    v.intoArray(memory, at, some);
  }

  /** The lanes that {@code count} numbers fill: all, where there are as many. */
  static VectorMask<Float> some(int count) {
    return F.indexInRange(0, count);
  }

  static float get(MemorySegment s, long offset) {
    return s.get(F32, offset);
  }

  static void put(MemorySegment s, long offset, float value) {
    s.set(F32, offset, value);
  }

  static float half(MemorySegment s, long offset) {
    return Float.float16ToFloat(s.get(I16, offset));
  }

  static float bfloat(MemorySegment s, long offset) {
    return Float.intBitsToFloat(s.get(I16, offset) << 16);
  }

  /** {@link #LENGTH} unsigned bytes as ints. */
  static IntVector unsignedBytes(MemorySegment s, long offset) {
    return (IntVector) bytes(s, offset).convertShape(VectorOperators.ZERO_EXTEND_B2I, I, 0);
  }

  /** {@link #LENGTH} signed bytes as floats. */
  static FloatVector signedBytes(MemorySegment s, long offset) {
    return (FloatVector) bytes(s, offset).convertShape(VectorOperators.B2F, F, 0);
  }

  /** {@link #PACKED_BYTES} bytes, to be taken apart together. */
  static IntVector packed(MemorySegment s, long offset) {
    return IntVector.fromMemorySegment(WORDS, s, offset, LE);
  }

  /** {@link #LENGTH} bytes; there is no vector of 4, so that one comes by way of an int. */
  private static ByteVector bytes(MemorySegment s, long offset) {
    return LENGTH == 4
        ? IntVector.broadcast(IntVector.SPECIES_64, s.get(I32, offset)).reinterpretAsBytes()
        : ByteVector.fromMemorySegment(B, s, offset, LE);
  }

  /** {@link #LENGTH} signed bytes, which lie in floats, as floats. */
  static FloatVector signedBytes(float[] memory, int at) {
    ByteVector bytes =
        LENGTH == 4
            ? IntVector.broadcast(IntVector.SPECIES_64, Float.floatToRawIntBits(memory[at]))
                .reinterpretAsBytes()
            : FloatVector.fromArray(PACKED, memory, at).reinterpretAsBytes();
    return (FloatVector) bytes.convertShape(VectorOperators.B2F, F, 0);
  }

  static FloatVector floats(IntVector v) {
    return (FloatVector) v.convert(VectorOperators.I2F, 0);
  }

  /** A part of 16 signed bytes as floats. */
  static FloatVector floats(ByteVector bytes, int part) {
    return (FloatVector) bytes.convertShape(VectorOperators.B2F, F, part);
  }

  static IntVector lowBits(IntVector bytes) {
    return bytes.and(FIFTEEN);
  }

  static IntVector highBits(IntVector bytes) {
    return bytes.lanewise(VectorOperators.LSHR, 4);
  }

  /** The lower halves of bytes. */
  static FloatVector low(IntVector bytes) {
    return floats(lowBits(bytes));
  }

  /** The upper halves of bytes. */
  static FloatVector high(IntVector bytes) {
    return floats(highBits(bytes));
  }

  /** The lowest {@link #LENGTH} bits, one to a lane, moved up by {@code by}. */
  static IntVector bits(int bits, int by) {
    return IntVector.broadcast(I, bits)
        .lanewise(VectorOperators.LSHR, INDEX)
        .and(1)
        .lanewise(VectorOperators.LSHL, by);
  }

  /** {@link #LENGTH} bfloat16 numbers. */
  static FloatVector bfloats(MemorySegment s, long offset) {
    return unsignedShorts(s, offset).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static IntVector unsignedShorts(MemorySegment s, long offset) {
    return (IntVector)
        ShortVector.fromMemorySegment(S, s, offset, LE)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0);
  }

  /**
   * The sum of all lanes, always in the same order: the API's own reduction may differ between
   * interpreted and compiled code.
   */
  static float sum(FloatVector v) {
    FloatVector folded = v;
    if (LENGTH >= 16) {
      folded = folded.add(folded.rearrange(ROTATE_8));
    }
    if (LENGTH >= 8) {
      folded = folded.add(folded.rearrange(ROTATE_4));
    }
    folded = folded.add(folded.rearrange(ROTATE_2));
    folded = folded.add(folded.rearrange(ROTATE_1));
    return folded.lane(0);
  }

  /** Each lane changes places with its neighbour. */
  static FloatVector swapped(FloatVector v) {
    return v.rearrange(SWAP);
  }

  /** Four numbers, over and over. */
  static FloatVector fours(float[] memory, int at) {
    return FloatVector.fromArray(F, memory, at, FOURS, 0);
  }

  /** The largest of the lanes that are a multiple of four apart, in each of them. */
  static FloatVector maxOfFours(FloatVector v) {
    FloatVector folded = v;
    if (LENGTH >= 16) {
      folded = folded.max(folded.rearrange(ROTATE_8));
    }
    return LENGTH >= 8 ? folded.max(folded.rearrange(ROTATE_4)) : folded;
  }

  /** The sum of the lanes that are a multiple of four apart, in each of them. */
  static FloatVector sumOfFours(FloatVector v) {
    FloatVector folded = v;
    if (LENGTH >= 16) {
      folded = folded.add(folded.rearrange(ROTATE_8));
    }
    return LENGTH >= 8 ? folded.add(folded.rearrange(ROTATE_4)) : folded;
  }

  static void storeFour(FloatVector v, float[] memory, int at) {
    v.intoArray(memory, at, FIRST_FOUR);
  }

  static FloatVector broadcast(float x) {
    return FloatVector.broadcast(F, x);
  }

  static FloatVector zero() {
    return FloatVector.zero(F);
  }

  /** The multiple of {@link #LENGTH} up to which {@code n} numbers are whole vectors. */
  static int whole(int n) {
    return n & -LENGTH;
  }
}
