package dev.knapsack.kernel.x86;

/**
 * The vector instructions in use, each with its encoding as Intel's manual writes it: prefix,
 * opcode map, W bit, opcode.
 *
 * <p>Instructions without an EVEX form of their own stay with registers 0–15 and 256 bits.
 */
enum Instruction {
  VMOVUPS(0, 1, 0, 0x10),
  VMOVUPS_STORE(0, 1, 0, 0x11),
  VMOVSS(2, 1, 0, 0x10),
  VMOVSS_STORE(2, 1, 0, 0x11),
  VMOVDQU(2, 1, 0, 0x6F, Kind.VEX),
  VMOVDQU_STORE(2, 1, 0, 0x7F, Kind.VEX),
  VMOVQ(2, 1, 0, 0x7E, Kind.VEX),
  VMOVQ_STORE(1, 1, 0, 0xD6, Kind.VEX),
  VMOVD(1, 1, 0, 0x6E),
  VBROADCASTSS(1, 2, 0, 0x18),
  VPBROADCASTB(1, 2, 0, 0x78),
  VPBROADCASTW(1, 2, 0, 0x79),
  VPBROADCASTD(1, 2, 0, 0x58),
  VBROADCASTI128(1, 2, 0, 0x5A, Kind.VEX),
  VINSERTI128(1, 3, 0, 0x38, Kind.VEX),
  VEXTRACTI128(1, 3, 0, 0x39, Kind.VEX),
  VEXTRACTF128(1, 3, 0, 0x19, Kind.VEX),
  VEXTRACTF64X4(1, 3, 1, 0x1B, Kind.EVEX),
  VPERM2I128(1, 3, 0, 0x46, Kind.VEX),
  VPUNPCKLDQ(1, 1, 0, 0x62),
  VPUNPCKHDQ(1, 1, 0, 0x6A),
  VPUNPCKLQDQ(1, 1, 0, 0x6C, Kind.VEX),
  VPUNPCKHQDQ(1, 1, 0, 0x6D, Kind.VEX),
  VPSHUFB(1, 2, 0, 0x00),
  VPSHUFD(1, 1, 0, 0x70),
  VPERMILPS(1, 3, 0, 0x04),
  VPINSRW(1, 1, 0, 0xC4),
  VPSRLVD(1, 2, 0, 0x45),
  VPSLLVD(1, 2, 0, 0x47),
  VPSRLDQ(1, 1, 0, 0x73, 3),
  VPMOVZXBD(1, 2, 0, 0x31),
  VPMOVZXWD(1, 2, 0, 0x33),
  VPMOVSXBW(1, 2, 0, 0x20),
  VPMOVSXBD(1, 2, 0, 0x21),
  VPAND(1, 1, 0, 0xDB, Kind.VEX),
  VPANDN(1, 1, 0, 0xDF, Kind.VEX),
  VPOR(1, 1, 0, 0xEB, Kind.VEX),
  VPXOR(1, 1, 0, 0xEF, Kind.VEX),
  VPSRLW(1, 1, 0, 0x71, 2),
  VPSLLW(1, 1, 0, 0x71, 6),
  VPSRLD(1, 1, 0, 0x72, 2),
  VPSLLD(1, 1, 0, 0x72, 6),
  VPADDB(1, 1, 0, 0xFC),
  VPADDW(1, 1, 0, 0xFD),
  VPADDD(1, 1, 0, 0xFE),
  VPSUBB(1, 1, 0, 0xF8),
  VPSUBD(1, 1, 0, 0xFA),
  VPABSB(1, 2, 0, 0x1C),
  VPSIGNB(1, 2, 0, 0x08, Kind.VEX),
  VPMAXSD(1, 2, 0, 0x3D),
  VPHADDD(1, 2, 0, 0x02, Kind.VEX),
  VPACKSSDW(1, 1, 0, 0x6B),
  VPACKSSWB(1, 1, 0, 0x63),
  VPERMD(1, 2, 0, 0x36),
  VPCMPEQB(1, 1, 0, 0x74, Kind.VEX),
  VPCMPEQW(1, 1, 0, 0x75, Kind.VEX),
  VPCMPGTB(1, 1, 0, 0x64, Kind.VEX),
  VPMULLW(1, 1, 0, 0xD5),
  VPMADDUBSW(1, 2, 0, 0x04),
  VPMADDWD(1, 1, 0, 0xF5),
  /** AVX-512 VNNI. */
  VPDPBUSD(1, 2, 0, 0x50, Kind.EVEX),
  /** AVX-VNNI: the same instruction in the older encoding. */
  VPDPBUSD_VEX(1, 2, 0, 0x50, Kind.VEX),
  VCVTPS2DQ(1, 1, 0, 0x5B),
  VCVTDQ2PS(0, 1, 0, 0x5B),
  VCVTPH2PS(1, 2, 0, 0x13),
  VADDPS(0, 1, 0, 0x58),
  VHADDPS(3, 1, 0, 0x7C, Kind.VEX),
  VADDSS(2, 1, 0, 0x58),
  VMAXPS(0, 1, 0, 0x5F),
  VDIVPS(0, 1, 0, 0x5E),
  VDIVSS(2, 1, 0, 0x5E),
  VCMPPS(0, 1, 0, 0xC2, Kind.VEX),
  VSUBPS(0, 1, 0, 0x5C),
  VMULPS(0, 1, 0, 0x59),
  VSQRTPS(0, 1, 0, 0x51),
  VXORPS(0, 1, 0, 0x57),
  VMOVSHDUP(2, 1, 0, 0x16),
  VMOVHLPS(0, 1, 0, 0x12),
  VFMADD231PS(1, 2, 0, 0xB8),
  VFMADD213PS(1, 2, 0, 0xA8),
  VFNMADD231PS(1, 2, 0, 0xBC),
  VZEROUPPER(0, 1, 0, 0x77, Kind.VEX);

  /** The encodings of an instruction. */
  enum Kind {
    /** VEX, and EVEX for registers and widths that VEX does not reach. */
    BOTH,
    VEX,
    EVEX
  }

  /** 0: none, 1: 66, 2: F3, 3: F2. */
  final int prefix;

  /** 1: 0F, 2: 0F38, 3: 0F3A. */
  final int map;

  final int w;
  final int opcode;

  /** For shifts by a constant, the part of the opcode that stands in place of a register; or -1. */
  final int extension;

  final Kind kind;

  /** Bytes that it reads or writes in memory: what a short displacement counts in EVEX. */
  int memoryBytes(int bits) {
    return switch (this) {
      case VPBROADCASTB -> 1;
      case VPBROADCASTW, VPINSRW -> 2;
      case VMOVD, VMOVSS, VMOVSS_STORE, VBROADCASTSS, VPBROADCASTD -> 4;
      case VADDSS, VDIVSS -> 4;
      case VPMOVZXWD, VPMOVSXBW, VCVTPH2PS -> bits / 16;
      case VPMOVZXBD, VPMOVSXBD -> bits / 32;
      default -> bits / 8;
    };
  }

  /** True where its last operand may be a number in memory, for all lanes. */
  boolean broadcasts() {
    return switch (this) {
      case VPDPBUSD, VMULPS, VFMADD231PS -> true;
      default -> false;
    };
  }

  Instruction(int prefix, int map, int w, int opcode) {
    this(prefix, map, w, opcode, -1, Kind.BOTH);
  }

  Instruction(int prefix, int map, int w, int opcode, Kind kind) {
    this(prefix, map, w, opcode, -1, kind);
  }

  Instruction(int prefix, int map, int w, int opcode, int extension) {
    this(prefix, map, w, opcode, extension, Kind.BOTH);
  }

  Instruction(int prefix, int map, int w, int opcode, int extension, Kind kind) {
    this.prefix = prefix;
    this.map = map;
    this.w = w;
    this.opcode = opcode;
    this.extension = extension;
    this.kind = kind;
  }
}
