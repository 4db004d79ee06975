package dev.knapsack.kernel.x86;

/**
 * The instructions that code may use. It can be generated for any of them anywhere; it runs where
 * the {@link Cpu} has them.
 */
enum Isa {
  /** AVX2, FMA and F16C: 16 registers of 256 bits. */
  AVX2("AVX2"),
  /** AVX2 and 8-bit dot products in the VEX encoding. */
  AVX_VNNI("AVX-VNNI"),
  /** AVX-512 F, BW, DQ and VL, and 8-bit dot products: 32 registers of 512 bits. */
  AVX512_VNNI("AVX-512 VNNI");

  private final String text;

  Isa(String text) {
    this.text = text;
  }

  /**
   * The most that a processor has.
   *
   * @throws UnsupportedOperationException if that is too little
   */
  static Isa of(Cpu cpu) {
    if (cpu.avx512Vnni()) {
      return AVX512_VNNI;
    }
    if (cpu.avxVnni()) {
      return AVX_VNNI;
    }
    if (cpu.avx2()) {
      return AVX2;
    }
    throw new UnsupportedOperationException("the processor has no AVX2 with FMA and F16C");
  }

  /** Adds four products of unsigned and signed bytes to each 32-bit lane: not in AVX2. */
  Instruction dotProduct() {
    return switch (this) {
      case AVX2 -> throw new IllegalStateException("AVX2 has no dot product of bytes");
      case AVX_VNNI -> Instruction.VPDPBUSD_VEX;
      case AVX512_VNNI -> Instruction.VPDPBUSD;
    };
  }

  /** Of a vector register. */
  int bits() {
    return this == AVX512_VNNI ? 512 : 256;
  }

  /** Number of vector registers. */
  int registers() {
    return this == AVX512_VNNI ? 32 : 16;
  }

  /** True where an operand may be a number in memory, for all lanes. */
  boolean broadcasts() {
    return this == AVX512_VNNI;
  }

  /** True where there is a {@link #dotProduct}. */
  boolean vnni() {
    return this != AVX2;
  }

  @Override
  public String toString() {
    return text;
  }
}
