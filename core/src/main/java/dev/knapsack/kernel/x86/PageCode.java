package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import org.jspecify.annotations.Nullable;

/**
 * The code that reads numbers of a KV page, eight at a time, from the form in which they are
 * stored. Registers 10 and 11 are used in passing.
 *
 * @param bytes in a block
 * @param vectors of eight numbers in a block
 */
record PageCode(Kind kind, int bytes, int vectors) {
  /** The layout of a block. */
  enum Kind {
    F32,
    F16,
    BF16,
    /** The upper byte of a half-precision number. */
    F8_E5M2,
    /** 4 bits of exponent and 3 of fraction. */
    F8_E4M3,
    /** A half-precision scale and signed bytes. */
    BYTES,
    /** A half-precision scale and codes of 4 bits, which stand for 8 less. */
    NIBBLES,
    /** A half-precision scale and minimum, and codes of 4 bits. */
    NIBBLES_OVER_MINIMUM,
    /** A half-precision scale, fifth bits, and the lower four: codes that stand for 16 less. */
    FIVE_BITS,
    /** A half-precision scale and minimum, fifth bits, and the lower four. */
    FIVE_BITS_OVER_MINIMUM,
    /** A half-precision scale and minimum, and codes of 2 bits. */
    PAIRS_OVER_MINIMUM,
    /** A power of two, and codes of 4 bits, which stand for 8 less. */
    POWER_NIBBLES,
    /** A power of two, lower four bits and upper two: codes that stand for 32 less. */
    POWER_SIX_BITS,
    /** A half-precision size, and bits that say what is negative. */
    SIGNS
  }

  static final PageCode FLOATS = new PageCode(Kind.F32, 32, 1);

  private static final Vector T = ymm(11);
  private static final Vector U = ymm(10);

  /** The code for a format, or null where there is none. */
  static @Nullable PageCode of(String format) {
    return switch (format) {
      case "F32" -> FLOATS;
      case "F16" -> new PageCode(Kind.F16, 16, 1);
      case "BF16" -> new PageCode(Kind.BF16, 16, 1);
      case "F8_E5M2" -> new PageCode(Kind.F8_E5M2, 8, 1);
      case "F8_E4M3" -> new PageCode(Kind.F8_E4M3, 8, 1);
      case "Q8_0" -> new PageCode(Kind.BYTES, 34, 4);
      case "Q5_1" -> new PageCode(Kind.FIVE_BITS_OVER_MINIMUM, 24, 4);
      case "Q5_0" -> new PageCode(Kind.FIVE_BITS, 22, 4);
      case "Q4_1" -> new PageCode(Kind.NIBBLES_OVER_MINIMUM, 20, 4);
      case "Q4_0" -> new PageCode(Kind.NIBBLES, 18, 4);
      case "Q2_1" -> new PageCode(Kind.PAIRS_OVER_MINIMUM, 12, 4);
      case "BFP6" -> new PageCode(Kind.POWER_SIX_BITS, 25, 4);
      case "BFP6_64" -> new PageCode(Kind.POWER_SIX_BITS, 49, 8);
      case "BFP4" -> new PageCode(Kind.POWER_NIBBLES, 17, 4);
      case "BFP4_64" -> new PageCode(Kind.POWER_NIBBLES, 33, 8);
      case "SIGNS" -> new PageCode(Kind.SIGNS, 10, 8);
      default -> null;
    };
  }

  /** Reads what all numbers of a block share, as far as they share anything. */
  void begin(Assembler a, Memory block, Vector scale, Vector offset) {
    switch (kind) {
      case F32, F16, BF16, F8_E5M2, F8_E4M3 -> {}
      case BYTES, SIGNS -> half(a, block, scale);
      case NIBBLES -> {
        half(a, block, scale);
        excess(a, 8, scale, offset);
      }
      case FIVE_BITS -> {
        half(a, block, scale);
        excess(a, 16, scale, offset);
      }
      case NIBBLES_OVER_MINIMUM, FIVE_BITS_OVER_MINIMUM, PAIRS_OVER_MINIMUM -> {
        half(a, block, scale);
        half(a, block.plus(2), offset);
      }
      case POWER_NIBBLES -> {
        power(a, block, scale);
        excess(a, 8, scale, offset);
      }
      case POWER_SIX_BITS -> {
        power(a, block, scale);
        excess(a, 32, scale, offset);
      }
    }
  }

  private static void half(Assembler a, Memory from, Vector to) {
    a.emit(VPBROADCASTW, to.as(128), from);
    a.emit(VCVTPH2PS, to, to.as(128));
  }

  /** The power of two of a byte, {@code 2^(e − 128)}; below what the format writes, nearly that. */
  private static void power(Assembler a, Memory from, Vector to) {
    a.emit(VPBROADCASTD, to, from);
    a.emit(VPSLLD, to, to, 24);
    a.emit(VPSRLD, to, to, 1);
    a.emit(VMULPS, to, to, Constants.ints(a, i -> Float.floatToRawIntBits(0.5f)));
  }

  /** {@code code · scale − excess · scale} is rounded once, as {@code (code − excess) · scale}. */
  private static void excess(Assembler a, float excess, Vector scale, Vector offset) {
    a.emit(VBROADCASTSS, offset, Constants.of(a, -excess));
    a.emit(VMULPS, offset, offset, scale);
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
      case F8_E5M2 -> {
        a.emit(VPMOVSXBW, T.as(128), block);
        a.emit(VPSLLW, T.as(128), T.as(128), 8);
        a.emit(VCVTPH2PS, to, T.as(128));
      }
      case F8_E4M3 -> fourBitExponents(a, block, to);
      case BYTES -> {
        a.emit(VPMOVSXBD, to, block.plus(2 + 8 * i));
        a.emit(VCVTDQ2PS, to, to);
        a.emit(VMULPS, to, to, scale);
      }
      case NIBBLES -> {
        nibbles(a, block.plus(2), i, to);
        withExcess(a, to, scale, offset);
      }
      case NIBBLES_OVER_MINIMUM -> {
        nibbles(a, block.plus(4), i, to);
        overMinimum(a, to, scale, offset);
      }
      case FIVE_BITS -> {
        nibbles(a, block.plus(6), i, to);
        fifthBits(a, block.plus(2), i, to);
        withExcess(a, to, scale, offset);
      }
      case FIVE_BITS_OVER_MINIMUM -> {
        nibbles(a, block.plus(8), i, to);
        fifthBits(a, block.plus(4), i, to);
        overMinimum(a, to, scale, offset);
      }
      case PAIRS_OVER_MINIMUM -> {
        pairs(a, block.plus(4), i, 0, to);
        overMinimum(a, to, scale, offset);
      }
      case POWER_NIBBLES -> {
        nibbles(a, block.plus(1 + i / 4 * 16), i % 4, to);
        withExcess(a, to, scale, offset);
      }
      case POWER_SIX_BITS -> {
        nibbles(a, block.plus(1 + i / 4 * 16), i % 4, to);
        pairs(a, block.plus(1 + 4 * vectors + i / 4 * 8), i % 4, 4, T);
        a.emit(VPOR, to, to, T);
        withExcess(a, to, scale, offset);
      }
      case SIGNS -> {
        signs(a, block.plus(2 + i), to);
        a.emit(VPXOR, to, to, scale);
      }
    }
  }

  private static void withExcess(Assembler a, Vector to, Vector scale, Vector offset) {
    a.emit(VCVTDQ2PS, to, to);
    a.emit(VFMADD213PS, to, scale, offset);
  }

  private static void overMinimum(Assembler a, Vector to, Vector scale, Vector offset) {
    a.emit(VCVTDQ2PS, to, to);
    a.emit(VMULPS, to, to, scale);
    a.emit(VADDPS, to, to, offset);
  }

  /** Lower halves of 16 bytes, then their upper halves. */
  private static void nibbles(Assembler a, Memory codes, int i, Vector to) {
    a.emit(VPMOVZXBD, to, codes.plus(8 * (i % 2)));
    if (i < 2) {
      a.emit(VPAND, to, to, Constants.ints(a, place -> 0x0F));
    } else {
      a.emit(VPSRLD, to, to, 4);
    }
  }

  /** Adds the fifth bits, which are those of the {@code i}-th byte. */
  private static void fifthBits(Assembler a, Memory bits, int i, Vector to) {
    // With the byte before, the bit that becomes the fifth is always to the left of there.
    a.emit(VPBROADCASTD, T, bits.plus(i - 1));
    a.emit(VPSRLVD, T, T, Constants.ints(a, place -> 4 + place));
    a.emit(VPAND, T, T, Constants.ints(a, place -> 0x10));
    a.emit(VPOR, to, to, T);
  }

  /** The bits of a byte, each at the place of a sign. */
  private static void signs(Assembler a, Memory bits, Vector to) {
    // With the byte before, these are the upper bits of a word, and of two words.
    a.emit(VPBROADCASTW, to, bits.plus(-1));
    a.emit(VPSLLVD, to, to, Constants.ints(a, place -> 7 - place));
    a.emit(VPAND, to, to, Constants.ints(a, place -> Integer.MIN_VALUE));
  }

  /** The {@code i}-th two bits of 8 bytes, moved to the left. */
  private static void pairs(Assembler a, Memory codes, int i, int left, Vector to) {
    a.emit(VPMOVZXBD, to, codes);
    int right = 2 * i - left;
    if (right > 0) {
      a.emit(VPSRLD, to, to, right);
    } else if (right < 0) {
      a.emit(VPSLLD, to, to, -right);
    }
    a.emit(VPAND, to, to, Constants.ints(a, place -> 3 << left));
  }

  /**
   * As half precision, whose exponent has a bit more and a bias of 8 more; all ones are no number.
   */
  private static void fourBitExponents(Assembler a, Memory from, Vector to) {
    Vector t = T.as(128);
    Vector u = U.as(128);
    a.emit(VPMOVSXBW, t, from);
    a.emit(VPSLLW, t, t, 7);
    a.emit(VPAND, u, t, shorts(a, 0x3F80));
    a.emit(VPCMPEQW, u, u, shorts(a, 0x3F80));
    a.emit(VPAND, t, t, shorts(a, 0xBF80));
    a.emit(VPOR, t, t, u);
    a.emit(VCVTPH2PS, to, t);
    a.emit(VMULPS, to, to, Constants.ints(a, i -> Float.floatToRawIntBits(256)));
  }

  private static Memory shorts(Assembler a, int value) {
    return Constants.bytes(a, 16, i -> value >> (i % 2 * 8));
  }
}
