package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.LOW_BITS;
import static dev.knapsack.kernel.x86.RowDot.ONES;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What {@link RowDot} must know of a weight format: the code for one block of one row. */
interface RowCode {
  /** Bytes in a block of weights. */
  int bytes();

  /** Numbers in a block, a multiple of 32. */
  int columns();

  /** Rows that one pass takes: as the registers allow. */
  int rows();

  /** Sums of x that each 32 columns need laid out one after the other: 0, 1, or 2 for halves. */
  default int sums() {
    return 0;
  }

  /** The factor of what the block leaves in {@code offsets}; 0 if it leaves nothing. */
  float offset();

  /** What the rows share, once a block. */
  default void begin(Assembler a) {}

  /**
   * Adds one block's products.
   *
   * @param w the block
   * @param sum receives the products, in any lanes
   * @param offsets receives the offsets' products, before the factor
   */
  void block(Assembler a, Memory w, Vector sum, Vector offsets);

  /**
   * Unpacks 32 codes, as unsigned bytes in the order of their columns.
   *
   * @param run which 32 of the block
   * @param q receives them
   * @param t may be overwritten, as may {@code u}
   */
  void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u);

  /** How eight rows of the format are laid out for several tokens. */
  Tile tile();

  /** Lays out the scales and offsets of a block of eight rows. */
  void packScales(Packer packer, Assembler a);

  /** The code for a format, or null where there is none. */
  static @Nullable RowCode of(String format) {
    return switch (format) {
      case "Q4_0" -> new Small(18, 2, Small.Codes.UNSIGNED_4, -8, false);
      case "Q4_1" -> new Small(20, 4, Small.Codes.UNSIGNED_4, 1, true);
      case "Q5_0" -> new Small(22, 6, Small.Codes.UNSIGNED_5, -16, false);
      case "Q5_1" -> new Small(24, 8, Small.Codes.UNSIGNED_5, 1, true);
      case "Q8_0" -> new Small(34, 2, Small.Codes.SIGNED_8, 0, false);
      case "IQ4_NL" -> new Small(18, 2, Small.Codes.LEVELS, 0, false);
      case "Q4_K" -> new Large(144, 16, false);
      case "Q5_K" -> new Large(176, 48, true);
      case "Q6_K" -> new Q6_K();
      default -> null;
    };
  }

  /**
   * Blocks of 32: a half-precision scale, perhaps a minimum, perhaps fifth bits in front of the
   * codes.
   *
   * @param codes where the codes begin
   * @param minimum whether a minimum follows the scale
   */
  record Small(int bytes, int codes, Codes kind, float offset, boolean minimum) implements RowCode {
    /** How 32 codes are stored. */
    enum Codes {
      UNSIGNED_4,
      UNSIGNED_5,
      SIGNED_8,
      LEVELS
    }

    private static final Vector X_SCALE = ymm(13);
    private static final Vector X_CODES = ymm(12);

    @Override
    public int columns() {
      return 32;
    }

    @Override
    public int rows() {
      return 4;
    }

    private boolean signed() {
      return kind == Codes.SIGNED_8 || kind == Codes.LEVELS;
    }

    @Override
    public void begin(Assembler a) {
      a.emit(VBROADCASTSS, X_SCALE, X.at(Q8Activations.SCALE));
      a.emit(VMOVDQU, X_CODES, X.at(0));
    }

    /** 32 codes, unsigned or signed as the format has them. */
    private void stored(Assembler a, Memory w, Vector q, Vector t, Vector u) {
      if (kind == Codes.SIGNED_8) {
        a.emit(VMOVDQU, q, w.plus(codes));
      } else {
        a.emit(VMOVDQU, q.as(128), w.plus(codes));
        a.emit(VPSRLW, t.as(128), q.as(128), 4);
        a.emit(VINSERTI128, q, q, t.as(128), 1);
        a.emit(VPAND, q, q, LOW_BITS);
      }
      if (kind == Codes.UNSIGNED_5) {
        // Bit i of four bytes becomes 16 in byte i: each byte is compared with its own bit set.
        a.emit(VPBROADCASTD, t, w.plus(codes - 4));
        a.emit(VPSHUFB, t, t, Constants.bytes(a, 32, i -> i / 8));
        a.emit(VPOR, t, t, Constants.bytes(a, 32, i -> ~(1 << i % 8)));
        a.emit(VPCMPEQB, u, u, u);
        a.emit(VPCMPEQB, t, t, u);
        a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> 16));
        a.emit(VPOR, q, q, t);
      }
      if (kind == Codes.LEVELS) {
        a.emit(VMOVDQU, t, Constants.bytes(a, 32, i -> IQ4.get(i % 16)));
        a.emit(VPSHUFB, q, t, q);
      }
    }

    @Override
    public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
      stored(a, w, q, t, u);
      if (signed()) {
        a.emit(VPXOR, q, q, Constants.bytes(a, 32, i -> 0x80));
      }
    }

    @Override
    public Tile tile() {
      return new Tile(signed() ? 255 : kind == Codes.UNSIGNED_5 ? 31 : 15, false);
    }

    @Override
    public void packScales(Packer packer, Assembler a) {
      packer.packHalves(minimum ? 2 : -1, signed() ? -128 : offset);
    }

    @Override
    public void block(Assembler a, Memory w, Vector sum, Vector offsets) {
      Vector q = ymm(8);
      Vector t = ymm(9);
      Vector scale = ymm(10);
      stored(a, w, q, t, ymm(11));
      if (signed()) {
        // Products of an unsigned and a signed number are all there is: |w| · (x with w's sign).
        a.emit(VPSIGNB, t, X_CODES, q);
        a.emit(VPABSB, q, q);
        a.emit(VPMADDUBSW, q, q, t);
      } else {
        a.emit(VPMADDUBSW, q, q, X_CODES);
      }
      a.emit(VPMADDWD, q, q, ONES);
      a.emit(VCVTDQ2PS, q, q);
      a.emit(VPBROADCASTW, xmm(10), w);
      a.emit(VCVTPH2PS, scale, xmm(10));
      if (minimum) {
        a.emit(VPBROADCASTW, xmm(11), w.plus(2));
        a.emit(VCVTPH2PS, xmm(11), xmm(11));
        a.emit(VFMADD231SS, offsets.as(128), xmm(11), X.at(Q8Activations.SUM));
      } else if (offset != 0) {
        a.emit(VFMADD231SS, offsets.as(128), scale.as(128), X.at(Q8Activations.SUM));
      }
      a.emit(VMULPS, scale, scale, X_SCALE);
      a.emit(VFMADD231PS, sum, q, scale);
    }
  }

  /** Moves bits of each byte of t from {@code from} up to {@code to}; the others become zero. */
  private static void bits(Assembler a, Vector t, int from, int to, int mask) {
    if (from < to) {
      a.emit(VPSLLW, t, t, to - from);
    } else if (from > to) {
      a.emit(VPSRLW, t, t, from - to);
    }
    a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> mask << to));
  }

  /** The levels that the codes of IQ4_NL and IQ4_XS stand for. */
  List<Integer> IQ4 =
      List.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

  /**
   * Q4_K and Q5_K: blocks of 256 in eight runs of 32 with 6-bit scales and minima; see {@link
   * dev.knapsack.tensor.Q4_K}.
   *
   * @param codes where the lower four bits of the codes begin
   * @param fifthBits whether 32 bytes of fifth bits come before them
   */
  record Large(int bytes, int codes, boolean fifthBits) implements RowCode {
    @Override
    public int columns() {
      return 256;
    }

    @Override
    public int rows() {
      return 1;
    }

    @Override
    public int sums() {
      return 1;
    }

    @Override
    public float offset() {
      return -1;
    }

    @Override
    public void block(Assembler a, Memory w, Vector sum, Vector offsets) {
      Vector scales = ymm(9);
      sixBits(a, w.plus(4), scales.as(128), xmm(8), xmm(10), xmm(11));
      // Eight minima by eight sums of x.
      a.emit(VPSRLDQ, xmm(10), xmm(9), 8);
      a.emit(VPMOVZXBD, ymm(10), xmm(10));
      a.emit(VCVTDQ2PS, ymm(10), ymm(10));
      a.emit(VMULPS, ymm(10), ymm(10), Register.R9.at(0));
      a.emit(VPBROADCASTW, xmm(11), w.plus(2));
      a.emit(VCVTPH2PS, ymm(11), xmm(11));
      a.emit(VFMADD231PS, offsets, ymm(10), ymm(11));

      a.emit(VINSERTI128, scales, scales, scales.as(128), 1);
      Vector products = ymm(13);
      a.emit(VXORPS, products, products, products);
      for (int run = 0; run < 8; run++) {
        codes(a, w, run, ymm(8), ymm(10), ymm(11));
        products(a, run, ymm(8), scales, products);
      }
      a.emit(VPBROADCASTW, xmm(8), w);
      a.emit(VCVTPH2PS, ymm(8), xmm(8));
      a.emit(VFMADD231PS, sum, products, ymm(8));
    }

    @Override
    public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
      a.emit(VMOVDQU, q, w.plus(codes + 32 * (run / 2)));
      if (run % 2 == 1) {
        a.emit(VPSRLW, q, q, 4);
      }
      a.emit(VPAND, q, q, LOW_BITS);
      if (fifthBits) {
        a.emit(VMOVDQU, t, w.plus(codes - 32));
        bits(a, t, run, 4, 1);
        a.emit(VPOR, q, q, t);
      }
    }

    @Override
    public Tile tile() {
      return new Tile(fifthBits ? 31 : 15, false);
    }

    @Override
    public void packScales(Packer packer, Assembler a) {
      packer.pack(Packer.Use.SCALES, r -> eight(a, r, 0), 0);
      packer.pack(Packer.Use.OFFSETS, r -> eight(a, r, 1), 0);
    }

    /** A row's eight scales, or its eight minima, which are taken away. */
    private static Vector eight(Assembler a, int r, int minima) {
      Vector v = ymm(r);
      Memory w = Packer.row(r);
      sixBits(a, w.plus(4), v.as(128), xmm(8), xmm(9), xmm(10));
      if (minima == 1) {
        a.emit(VPSRLDQ, v.as(128), v.as(128), 8);
      }
      a.emit(VPMOVZXBD, v, v.as(128));
      a.emit(VCVTDQ2PS, v, v);
      a.emit(VPBROADCASTW, xmm(8), w.plus(2 * minima));
      a.emit(VCVTPH2PS, ymm(8), xmm(8));
      a.emit(VMULPS, v, v, ymm(8));
      if (minima == 1) {
        a.emit(VXORPS, ymm(8), ymm(8), ymm(8));
        a.emit(VSUBPS, v, ymm(8), v);
      }
      return v;
    }

    private static void products(Assembler a, int run, Vector q, Vector scales, Vector products) {
      Vector t = ymm(11);
      Memory x = X.at(48 * run);
      a.emit(VPMADDUBSW, q, q, x);
      a.emit(VPSHUFB, t, scales, Constants.bytes(a, 32, i -> i % 2 == 0 ? run : 0x80));
      a.emit(VPMADDWD, q, q, t);
      a.emit(VCVTDQ2PS, q, q);
      a.emit(VBROADCASTSS, ymm(12), x.plus(Q8Activations.SCALE));
      a.emit(VFMADD231PS, products, q, ymm(12));
    }

    /**
     * Unpacks eight 6-bit scales and eight minima from 12 bytes: the first four of each are the
     * lower bits of bytes 0–3 and 4–7; the others have their lower four bits in bytes 8–11 and
     * their upper two above those.
     *
     * @param to receives scales in bytes 0–7 and minima in 8–15
     */
    static void sixBits(Assembler a, Memory from, Vector to, Vector v, Vector t, Vector u) {
      a.emit(VMOVDQU, v, from);
      a.emit(VPAND, to, v, Constants.bytes(a, 16, i -> 0x3F));
      a.emit(VPSRLW, t, v, 2);
      a.emit(VPAND, t, t, Constants.bytes(a, 16, i -> 0x30));
      a.emit(VPSHUFD, u, v, 0xAA);
      a.emit(VPSRLVD, u, u, Constants.bytes(a, 16, i -> i % 8 == 4 ? 4 : 0));
      a.emit(VPAND, u, u, Constants.bytes(a, 16, i -> 0x0F));
      a.emit(VPOR, t, t, u);
      a.emit(VPUNPCKLDQ, to, to, t);
    }
  }

  /**
   * Blocks of 256 in sixteen runs of 16 with signed 8-bit scales; see {@link
   * dev.knapsack.tensor.Q6_K}.
   */
  record Q6_K() implements RowCode {
    private static final int HIGH = 128;
    private static final int SCALES = 192;
    private static final int SCALE = 208;

    @Override
    public int bytes() {
      return 210;
    }

    @Override
    public int columns() {
      return 256;
    }

    @Override
    public int rows() {
      return 1;
    }

    @Override
    public int sums() {
      return 2;
    }

    @Override
    public float offset() {
      return -32;
    }

    @Override
    public void block(Assembler a, Memory w, Vector sum, Vector offsets) {
      Vector scales = ymm(9);
      Vector d = ymm(3);
      a.emit(VPBROADCASTW, xmm(3), w.plus(SCALE));
      a.emit(VCVTPH2PS, d, xmm(3));
      a.emit(VPMOVSXBD, ymm(8), w.plus(SCALES));
      a.emit(VPMOVSXBD, ymm(10), w.plus(SCALES + 8));
      a.emit(VCVTDQ2PS, ymm(8), ymm(8));
      a.emit(VCVTDQ2PS, ymm(10), ymm(10));
      a.emit(VMULPS, ymm(8), ymm(8), Register.R9.at(0));
      a.emit(VFMADD231PS, ymm(8), ymm(10), Register.R9.at(32));
      a.emit(VFMADD231PS, offsets, ymm(8), d);

      a.emit(VBROADCASTI128, scales, w.plus(SCALES));
      Vector products = ymm(13);
      a.emit(VXORPS, products, products, products);
      for (int run = 0; run < 8; run++) {
        codes(a, w, run, ymm(8), ymm(10), ymm(11));
        products(a, run, ymm(8), scales, products);
      }
      a.emit(VFMADD231PS, sum, products, d);
    }

    @Override
    public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
      int half = run / 4;
      a.emit(VMOVDQU, q, w.plus(64 * half + 32 * (run % 2)));
      if (run % 4 > 1) {
        a.emit(VPSRLW, q, q, 4);
      }
      a.emit(VPAND, q, q, LOW_BITS);
      a.emit(VMOVDQU, t, w.plus(HIGH + 32 * half));
      bits(a, t, 2 * (run % 4), 4, 3);
      a.emit(VPOR, q, q, t);
    }

    @Override
    public Tile tile() {
      return new Tile(63, true);
    }

    @Override
    public void packScales(Packer packer, Assembler a) {
      packer.pack(Packer.Use.FIRST_HALVES, r -> eight(a, r, 0), offset());
      packer.pack(Packer.Use.LAST_HALVES, r -> eight(a, r, 8), offset());
    }

    private static Vector eight(Assembler a, int r, int from) {
      Vector v = ymm(r);
      Memory w = Packer.row(r);
      a.emit(VPMOVSXBD, v, w.plus(SCALES + from));
      a.emit(VCVTDQ2PS, v, v);
      a.emit(VPBROADCASTW, xmm(8), w.plus(SCALE));
      a.emit(VCVTPH2PS, ymm(8), xmm(8));
      a.emit(VMULPS, v, v, ymm(8));
      return v;
    }

    /** 32 columns, with two scales. */
    private static void products(Assembler a, int run, Vector q, Vector scales, Vector products) {
      Vector t = ymm(11);
      Memory x = X.at(48 * run);
      a.emit(VPMADDUBSW, q, q, x);
      a.emit(VPSHUFB, t, scales, Constants.bytes(a, 32, i -> i % 2 == 0 ? 0x80 : 2 * run + i / 16));
      a.emit(VPSRAW, t, t, 8);
      a.emit(VPMADDWD, q, q, t);
      a.emit(VCVTDQ2PS, q, q);
      a.emit(VBROADCASTSS, ymm(12), x.plus(Q8Activations.SCALE));
      a.emit(VFMADD231PS, products, q, ymm(12));
    }
  }
}
