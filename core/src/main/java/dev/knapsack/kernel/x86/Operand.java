package dev.knapsack.kernel.x86;

import org.jspecify.annotations.Nullable;

/** An operand that an instruction on vectors may read last, or write first. */
sealed interface Operand {
  /**
   * A vector register.
   *
   * @param number 0–15, or 0–31 with AVX-512
   * @param bits 128, 256 or 512
   */
  record Vector(int number, int bits) implements Operand {
    public Vector {
      if (number < 0 || number > 31 || (bits != 128 && bits != 256 && bits != 512)) {
        throw new IllegalArgumentException(
            "No vector register %d of %d bits".formatted(number, bits));
      }
    }

    /** The lower half of a register of 256 bits, or the register whose lower part this is. */
    Vector as(int otherBits) {
      return new Vector(number, otherBits);
    }
  }

  /**
   * A place in memory: {@code [base + scale · index + displacement]}, or the place of a label.
   *
   * @param scale 1, 2, 4 or 8
   */
  record Memory(
      @Nullable Register base,
      @Nullable Register index,
      int scale,
      int displacement,
      @Nullable Label label)
      implements Operand {
    public Memory {
      if (scale != 1 && scale != 2 && scale != 4 && scale != 8) {
        throw new IllegalArgumentException("An index is scaled by 1, 2, 4 or 8, not " + scale);
      }
      if (index == Register.RSP) {
        throw new IllegalArgumentException("The stack pointer is no index");
      }
    }

    /** The 32 bits here, for every lane: only in the EVEX encoding. */
    Broadcast broadcast() {
      return new Broadcast(this);
    }

    /** This place, {@code bytes} further. */
    Memory plus(int bytes) {
      return new Memory(base, index, scale, displacement + bytes, label);
    }
  }

  /** A number of 32 bits in memory, for every lane. */
  record Broadcast(Memory memory) implements Operand {}

  static Vector xmm(int number) {
    return new Vector(number, 128);
  }

  static Vector ymm(int number) {
    return new Vector(number, 256);
  }

  static Vector zmm(int number) {
    return new Vector(number, 512);
  }
}
