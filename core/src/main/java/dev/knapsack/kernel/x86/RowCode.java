package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import org.jspecify.annotations.Nullable;

/** The code for the blocks of a weight format: all that the generators know of it. */
sealed interface RowCode
    permits SmallCode, SixBitCode, TwoBitCode, TQ1_0Code, Q6_KCode, IQ4_XSCode {
  /** Bytes in a block of weights. */
  int bytes();

  /** Numbers in a block: 32 or 256. */
  int columns();

  /** In which order the codes of x are wanted. */
  default Arranger.Order order() {
    return Arranger.Order.NATURAL;
  }

  /** The factor of what is left in {@code offsets}; 0 if nothing is. */
  float offset();

  /**
   * Adds the products of 256 columns of a row, {@link Arranger arranged} at {@link RowDot#X}.
   *
   * <p>It may use vector registers from 3 to 13.
   *
   * @param products what multiplies codes
   * @param w the weights
   * @param sum receives products, in any lanes, as does {@code more}: so that one need not wait for
   *     the other
   * @param offsets receives the offsets' products, before the factor
   */
  void group(Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets);

  /**
   * Unpacks 32 codes, as unsigned bytes in the order of their columns.
   *
   * @param run which 32 of the block
   * @param q receives them
   * @param t may be overwritten, as may {@code u}
   */
  void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u);

  /** Layout of the format's rows for several tokens. */
  Tile tile(Isa isa);

  /** Lays out the scales and offsets of a block of eight rows. */
  void packScales(Packer packer, Assembler a);

  /** The code for a format, or null where there is none. */
  static @Nullable RowCode of(String format) {
    return switch (format) {
      case "Q4_0" -> new SmallCode(18, 2, SmallCode.Codes.UNSIGNED_4, -8, false);
      case "Q4_1" -> new SmallCode(20, 4, SmallCode.Codes.UNSIGNED_4, 1, true);
      case "Q5_0" -> new SmallCode(22, 6, SmallCode.Codes.UNSIGNED_5, -16, false);
      case "Q5_1" -> new SmallCode(24, 8, SmallCode.Codes.UNSIGNED_5, 1, true);
      case "Q8_0" -> new SmallCode(34, 2, SmallCode.Codes.SIGNED_8, 0, false);
      case "IQ4_NL" -> new SmallCode(18, 2, SmallCode.Codes.LEVELS, 0, false);
      case "IQ4_XS" -> new IQ4_XSCode();
      case "MXFP4" -> new SmallCode(17, 1, SmallCode.Codes.FP4, -12, false);
      case "Q2_K" -> new TwoBitCode(TwoBitCode.Format.Q2_K);
      case "Q3_K" -> new TwoBitCode(TwoBitCode.Format.Q3_K);
      case "TQ1_0" -> new TQ1_0Code();
      case "TQ2_0" -> new TwoBitCode(TwoBitCode.Format.TQ2_0);
      case "Q4_K" -> new SixBitCode(144, 16, false);
      case "Q5_K" -> new SixBitCode(176, 48, true);
      case "Q6_K" -> new Q6_KCode();
      case "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8" ->
          SmallCode.planes(format.charAt(1) - '0');
      default -> null;
    };
  }

  /** Moves bits of each byte of t from {@code from} up to {@code to}; the others become zero. */
  static void bits(Assembler a, Vector t, int from, int to, int mask) {
    if (from < to) {
      a.emit(VPSLLW, t, t, to - from);
    } else if (from > to) {
      a.emit(VPSRLW, t, t, from - to);
    }
    a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> mask << to));
  }
}
