package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import org.jspecify.annotations.Nullable;

/**
 * How the numbers of a KV page are read, eight at a time, from the form in which they are stored.
 *
 * @param bytes in a block
 * @param vectors of eight numbers in a block
 */
record PageCode(Kind kind, int bytes, int vectors) {
  /** How a block is stored. */
  enum Kind {
    F32,
    F16,
    BF16,
    /** A half-precision scale and signed bytes. */
    BYTES,
    /** A half-precision scale and codes of 4 bits, which stand for 8 less. */
    NIBBLES,
    /** A half-precision scale and minimum, and codes of 4 bits. */
    NIBBLES_OVER_MINIMUM
  }

  static final PageCode FLOATS = new PageCode(Kind.F32, 32, 1);

  /** The code for a format, or null where there is none. */
  static @Nullable PageCode of(String format) {
    return switch (format) {
      case "F32" -> FLOATS;
      case "F16" -> new PageCode(Kind.F16, 16, 1);
      case "BF16" -> new PageCode(Kind.BF16, 16, 1);
      case "Q8_0" -> new PageCode(Kind.BYTES, 34, 4);
      case "Q4_0" -> new PageCode(Kind.NIBBLES, 18, 4);
      case "Q4_1" -> new PageCode(Kind.NIBBLES_OVER_MINIMUM, 20, 4);
      default -> null;
    };
  }

  /** Reads what all numbers of a block share, as far as they share anything. */
  void begin(Assembler a, Memory block, Vector scale, Vector offset) {
    switch (kind) {
      case F32, F16, BF16 -> {}
      case BYTES -> half(a, block, scale);
      case NIBBLES -> {
        half(a, block, scale);
        // code · scale − 8 · scale is rounded once, as (code − 8) · scale is.
        a.emit(VBROADCASTSS, offset, Constants.of(a, -8));
        a.emit(VMULPS, offset, offset, scale);
      }
      case NIBBLES_OVER_MINIMUM -> {
        half(a, block, scale);
        half(a, block.plus(2), offset);
      }
    }
  }

  private static void half(Assembler a, Memory from, Vector to) {
    a.emit(VPBROADCASTW, to.as(128), from);
    a.emit(VCVTPH2PS, to, to.as(128));
  }

  /** Reads eight numbers: the {@code i}-th vector of a block that has been begun. */
  void read(Assembler a, Memory block, int i, Vector to, Vector scale, Vector offset) {
    switch (kind) {
      case F32 -> a.emit(VMOVUPS, to, block);
      case F16 -> a.emit(VCVTPH2PS, to, block);
      case BF16 -> {
        a.emit(VPMOVZXWD, to, block);
        a.emit(VPSLLD, to, to, 16);
      }
      case BYTES -> {
        a.emit(VPMOVSXBD, to, block.plus(2 + 8 * i));
        a.emit(VCVTDQ2PS, to, to);
        a.emit(VMULPS, to, to, scale);
      }
      case NIBBLES -> {
        nibbles(a, block.plus(2), i, to);
        a.emit(VFMADD213PS, to, scale, offset);
      }
      case NIBBLES_OVER_MINIMUM -> {
        nibbles(a, block.plus(4), i, to);
        a.emit(VMULPS, to, to, scale);
        a.emit(VADDPS, to, to, offset);
      }
    }
  }

  /** Lower halves of 16 bytes, then their upper halves. */
  private static void nibbles(Assembler a, Memory codes, int i, Vector to) {
    a.emit(VPMOVZXBD, to, codes.plus(8 * (i % 2)));
    if (i < 2) {
      a.emit(VPAND, to, to, Constants.bytes(a, 32, place -> place % 4 == 0 ? 0x0F : 0));
    } else {
      a.emit(VPSRLD, to, to, 4);
    }
    a.emit(VCVTDQ2PS, to, to);
  }
}
