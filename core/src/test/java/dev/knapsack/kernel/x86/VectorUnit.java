package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;

/**
 * The vector registers of an {@link Emulator}, and what instructions do with them, lane by lane.
 *
 * <p>Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. NaN come out
 * as some NaN.
 */
final class VectorUnit {
  private interface IntOperation {
    int apply(int a, int b);
  }

  private interface FloatOperation {
    float apply(float a, float b);
  }

  private interface Fused {
    float apply(float old, float a, float b);
  }

  private static final VarHandle INT = view(int[].class);
  private static final VarHandle SHORT = view(short[].class);
  private static final VarHandle FLOAT = view(float[].class);
  private static final VarHandle LONG = view(long[].class);

  private static VarHandle view(Class<?> array) {
    return MethodHandles.byteArrayViewVarHandle(array, ByteOrder.LITTLE_ENDIAN);
  }

  private static final int REGISTER = 64;

  private final byte[] registers = new byte[32 * REGISTER];

  // The operands of an instruction, and its result.
  private final byte[] old = new byte[REGISTER];
  private final byte[] a = new byte[REGISTER];
  private final byte[] b = new byte[REGISTER];
  private final byte[] result = new byte[REGISTER];

  // What encodings mean.

  /** The instruction of an opcode; {@code reg} is a part of it for some. */
  static Instruction instruction(boolean evex, int map, int prefix, int w, int opcode, int reg) {
    for (Instruction i : Instruction.values()) {
      Instruction.Kind other = evex ? Instruction.Kind.VEX : Instruction.Kind.EVEX;
      if (i.kind != other
          && i.map == map
          && i.prefix == prefix
          && i.w == w
          && i.opcode == opcode
          && (i.extension < 0 || i.extension == reg)) {
        return i;
      }
    }
    throw new Emulator.Fault(
        "No vector instruction %x of map %d, prefix %d, w %d".formatted(opcode, map, prefix, w));
  }

  static boolean hasConstant(Instruction i) {
    return switch (i) {
      case VPSHUFD, VPINSRW, VCMPPS, VPSRLDQ, VPSRLW, VPSLLW, VPSRLD, VPSLLD -> true;
      default -> i.map == 3;
    };
  }

  static boolean readsSecond(Instruction i) {
    return switch (Encodings.shape(i)) {
      case BINARY, REGISTERS, INSERT, INSERT_WORD, BINARY_CONSTANT -> true;
      case CONSTANT -> i.extension >= 0;
      default -> false;
    };
  }

  /** Bytes of memory that an instruction reads or writes, without a broadcast. */
  static int memoryBytes(Instruction i, int bits) {
    return switch (i) {
      case VPBROADCASTB -> 1;
      case VPBROADCASTW, VPINSRW -> 2;
      case VMOVSS, VMOVSS_STORE, VBROADCASTSS, VPBROADCASTD -> 4;
      case VADDSS, VDIVSS -> 4;
      case VMOVQ, VMOVQ_STORE -> 8;
      case VBROADCASTI128, VINSERTI128 -> 16;
      default ->
          switch (Encodings.shape(i)) {
            case HALF -> bits / 16;
            case QUARTER -> bits / 32;
            default -> bits / 8;
          };
    };
  }

  // What the emulator does itself.

  void clutter(Random random) {
    random.nextBytes(registers);
  }

  void zeroUpper() {
    for (int i = 0; i < 16; i++) {
      Arrays.fill(registers, i * REGISTER + 16, (i + 1) * REGISTER, (byte) 0);
    }
  }

  /** Of the registers that instructions in the older encoding reach. */
  boolean upperHalvesAreZero() {
    for (int i = 0; i < 16; i++) {
      for (int k = 16; k < REGISTER; k++) {
        if (registers[i * REGISTER + k] != 0) {
          return false;
        }
      }
    }
    return true;
  }

  /** Where the last operand belongs, if it is memory. */
  byte[] last() {
    return b;
  }

  void takeLast(int register) {
    take(b, register);
  }

  /** The last operand's first 32 bits in all lanes. */
  void spread() {
    for (int k = 4; k < REGISTER; k++) {
      b[k] = b[k - 4];
    }
  }

  private void take(byte[] to, int register) {
    System.arraycopy(registers, register * REGISTER, to, 0, REGISTER);
  }

  byte[] stored(int register) {
    take(a, register);
    return a;
  }

  /** Thirty-two bits to the lowest lane. */
  void move(int register, long value) {
    Arrays.fill(result, (byte) 0);
    INT.set(result, 0, (int) value);
    put(register, 4);
  }

  /** The result; the rest of the register becomes zero. */
  private void put(int register, int bytes) {
    Arrays.fill(result, bytes, REGISTER, (byte) 0);
    System.arraycopy(result, 0, registers, register * REGISTER, REGISTER);
  }

  /**
   * Does what an instruction says, on the last operand as it was taken.
   *
   * @param register what the encoding names first
   * @param second what it names by four bits of its own
   * @param rm what it names last, if that is a register
   */
  void execute(Instruction i, int bits, int register, int second, int rm, int constant) {
    boolean extract = Encodings.shape(i) == Encodings.Shape.EXTRACT;
    int to = extract ? rm : i.extension >= 0 ? second : register;
    int n = bits / 8;
    take(old, register);
    take(a, second);
    if (extract) {
      take(b, register);
      System.arraycopy(b, bits / 16 * constant, result, 0, bits / 16);
      put(to, bits / 16);
      return;
    }
    if (moves(i, n, constant) || integers(i, n, constant)) {
      put(to, i == VMOVSS ? 4 : i == VMOVQ ? 8 : n);
      return;
    }
    switch (i) {
      case VADDSS, VDIVSS -> {
        floats(i, 4);
        System.arraycopy(a, 4, result, 4, 12);
      }
      case VCMPPS -> compare(n, constant);
      default -> floats(i, n);
    }
    put(to, n);
  }

  // Lanes.

  private static int i32(byte[] x, int at) {
    return (int) INT.get(x, at);
  }

  private static int i16(byte[] x, int at) {
    return (short) SHORT.get(x, at);
  }

  private void ints(int n, IntOperation f) {
    for (int k = 0; k < n; k += 4) {
      INT.set(result, k, f.apply(i32(a, k), i32(b, k)));
    }
  }

  private void shorts(int n, IntOperation f) {
    for (int k = 0; k < n; k += 2) {
      SHORT.set(result, k, (short) f.apply(i16(a, k), i16(b, k)));
    }
  }

  private void bytes(int n, IntOperation f) {
    for (int k = 0; k < n; k++) {
      result[k] = (byte) f.apply(a[k], b[k]);
    }
  }

  private void floats(int n, FloatOperation f) {
    for (int k = 0; k < n; k += 4) {
      FLOAT.set(result, k, f.apply((float) FLOAT.get(a, k), (float) FLOAT.get(b, k)));
    }
  }

  private void fused(int n, Fused f) {
    for (int k = 0; k < n; k += 4) {
      float sum = (float) FLOAT.get(old, k);
      FLOAT.set(result, k, f.apply(sum, (float) FLOAT.get(a, k), (float) FLOAT.get(b, k)));
    }
  }

  private static int saturated(int x, int bits) {
    int most = (1 << bits - 1) - 1;
    return Math.clamp(x, -most - 1, most);
  }

  /** Moves, and what puts lanes elsewhere; false if it is none of those. */
  private boolean moves(Instruction i, int n, int c) {
    switch (i) {
      case VMOVUPS, VMOVDQU, VMOVSS, VMOVQ -> System.arraycopy(b, 0, result, 0, n);
      case VBROADCASTSS, VPBROADCASTD -> repeat(n, 4);
      case VPBROADCASTB -> repeat(n, 1);
      case VPBROADCASTW -> repeat(n, 2);
      case VBROADCASTI128 -> repeat(n, 16);
      case VINSERTI128 -> {
        System.arraycopy(a, 0, result, 0, n);
        System.arraycopy(b, 0, result, 16 * c, 16);
      }
      case VPERM2I128 -> {
        for (int half = 0; half < 2; half++) {
          int from = c >> 4 * half & 3;
          System.arraycopy(from < 2 ? a : b, from % 2 * 16, result, 16 * half, 16);
        }
      }
      case VPUNPCKLDQ -> interleave(n, 4, 0);
      case VPUNPCKHDQ -> interleave(n, 4, 8);
      case VPUNPCKLQDQ -> interleave(n, 8, 0);
      case VPUNPCKHQDQ -> interleave(n, 8, 8);
      case VPSHUFB -> {
        for (int k = 0; k < n; k++) {
          result[k] = b[k] < 0 ? 0 : a[k / 16 * 16 + (b[k] & 15)];
        }
      }
      case VPSHUFD, VPERMILPS -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i32(b, k / 16 * 16 + (c >> k / 4 % 4 * 2 & 3) * 4));
        }
      }
      case VPERMD -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i32(b, i32(a, k) * 4 & n - 1));
        }
      }
      case VMOVSHDUP -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i32(b, k | 4));
        }
      }
      case VMOVHLPS -> {
        LONG.set(result, 0, (long) LONG.get(b, 8));
        LONG.set(result, 8, (long) LONG.get(a, 8));
      }
      case VPINSRW -> {
        System.arraycopy(a, 0, result, 0, n);
        SHORT.set(result, 2 * (c & 7), (short) i16(b, 0));
      }
      case VPSRLDQ -> {
        for (int k = 0; k < n; k++) {
          result[k] = k % 16 + c < 16 ? b[k + c] : 0;
        }
      }
      case VPMOVZXBD, VPMOVSXBD -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i == VPMOVZXBD ? b[k / 4] & 0xFF : b[k / 4]);
        }
      }
      case VPMOVSXBW -> {
        for (int k = 0; k < n; k += 2) {
          SHORT.set(result, k, (short) b[k / 2]);
        }
      }
      case VPMOVZXWD -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i16(b, k / 2) & 0xFFFF);
        }
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private void repeat(int n, int unit) {
    for (int k = 0; k < n; k++) {
      result[k] = b[k % unit];
    }
  }

  /** Units of the halves at {@code from} of each 128 bits of a and b in turn. */
  private void interleave(int n, int unit, int from) {
    for (int k = 0; k < n; k++) {
      int inHalf = k % 16 / unit / 2 * unit + k % unit;
      result[k] = (k / unit % 2 == 0 ? a : b)[k / 16 * 16 + from + inHalf];
    }
  }

  /** Integer arithmetic and logic; false if it is none. */
  private boolean integers(Instruction i, int n, int c) {
    switch (i) {
      case VPAND -> ints(n, (x, y) -> x & y);
      case VPANDN -> ints(n, (x, y) -> ~x & y);
      case VPOR -> ints(n, (x, y) -> x | y);
      case VPXOR, VXORPS -> ints(n, (x, y) -> x ^ y);
      case VPSRLW -> shorts(n, (_, y) -> c > 15 ? 0 : (y & 0xFFFF) >>> c);
      case VPSLLW -> shorts(n, (_, y) -> c > 15 ? 0 : y << c);
      case VPSRLD -> ints(n, (_, y) -> c > 31 ? 0 : y >>> c);
      case VPSLLD -> ints(n, (_, y) -> c > 31 ? 0 : y << c);
      case VPSRLVD -> ints(n, (x, y) -> y < 0 || y > 31 ? 0 : x >>> y);
      case VPSLLVD -> ints(n, (x, y) -> y < 0 || y > 31 ? 0 : x << y);
      case VPADDB -> bytes(n, Integer::sum);
      case VPADDW -> shorts(n, Integer::sum);
      case VPADDD -> ints(n, Integer::sum);
      case VPSUBB -> bytes(n, (x, y) -> x - y);
      case VPSUBD -> ints(n, (x, y) -> x - y);
      case VPABSB -> bytes(n, (_, y) -> Math.abs(y));
      case VPSIGNB -> bytes(n, (x, y) -> x * Integer.signum(y));
      case VPMAXSD -> ints(n, Math::max);
      case VPCMPGTB -> bytes(n, (x, y) -> x > y ? -1 : 0);
      case VPMULLW -> shorts(n, (x, y) -> x * y);
      case VPCMPEQB -> bytes(n, (x, y) -> x == y ? -1 : 0);
      case VPCMPEQW -> shorts(n, (x, y) -> x == y ? -1 : 0);
      case VPHADDD -> {
        for (int k = 0; k < n; k += 4) {
          byte[] from = k % 16 < 8 ? a : b;
          int at = k / 16 * 16 + k % 8 * 2;
          INT.set(result, k, i32(from, at) + i32(from, at + 4));
        }
      }
      case VPACKSSDW -> {
        for (int k = 0; k < n; k += 2) {
          int x = i32(k % 16 < 8 ? a : b, k / 16 * 16 + k % 8 * 2);
          SHORT.set(result, k, (short) saturated(x, 16));
        }
      }
      case VPACKSSWB -> {
        for (int k = 0; k < n; k++) {
          int x = i16(k % 16 < 8 ? a : b, k / 16 * 16 + k % 8 * 2);
          result[k] = (byte) saturated(x, 8);
        }
      }
      case VPMADDUBSW -> {
        for (int k = 0; k < n; k += 2) {
          int sum = (a[k] & 0xFF) * b[k] + (a[k + 1] & 0xFF) * b[k + 1];
          SHORT.set(result, k, (short) saturated(sum, 16));
        }
      }
      case VPMADDWD -> {
        for (int k = 0; k < n; k += 4) {
          INT.set(result, k, i16(a, k) * i16(b, k) + i16(a, k + 2) * i16(b, k + 2));
        }
      }
      case VPDPBUSD, VPDPBUSD_VEX -> {
        for (int k = 0; k < n; k += 4) {
          int sum = i32(old, k);
          for (int j = k; j < k + 4; j++) {
            sum += (a[j] & 0xFF) * b[j];
          }
          INT.set(result, k, sum);
        }
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private void floats(Instruction i, int n) {
    switch (i) {
      case VADDPS, VADDSS -> floats(n, Float::sum);
      case VSUBPS -> floats(n, (x, y) -> x - y);
      case VMULPS -> floats(n, (x, y) -> x * y);
      case VDIVPS, VDIVSS -> floats(n, (x, y) -> x / y);
      case VSQRTPS -> floats(n, (_, y) -> (float) Math.sqrt(y));
      // The second where they cannot be told apart.
      case VMAXPS -> floats(n, (x, y) -> x > y ? x : y);
      case VFMADD231PS -> fused(n, (sum, x, y) -> Math.fma(x, y, sum));
      case VFNMADD231PS -> fused(n, (sum, x, y) -> Math.fma(-x, y, sum));
      case VFMADD213PS -> fused(n, (factor, x, y) -> Math.fma(x, factor, y));
      case VHADDPS -> {
        for (int k = 0; k < n; k += 4) {
          byte[] from = k % 16 < 8 ? a : b;
          int at = k / 16 * 16 + k % 8 * 2;
          FLOAT.set(result, k, (float) FLOAT.get(from, at) + (float) FLOAT.get(from, at + 4));
        }
      }
      case VCVTDQ2PS -> {
        for (int k = 0; k < n; k += 4) {
          FLOAT.set(result, k, (float) i32(b, k));
        }
      }
      case VCVTPS2DQ -> {
        for (int k = 0; k < n; k += 4) {
          double x = Math.rint((float) FLOAT.get(b, k));
          INT.set(result, k, Math.abs(x) < 0x1p31 ? (int) x : Integer.MIN_VALUE);
        }
      }
      case VCVTPH2PS -> {
        for (int k = 0; k < n; k += 4) {
          FLOAT.set(result, k, Float.float16ToFloat((short) i16(b, k / 2)));
        }
      }
      default -> throw new Emulator.Fault(i + " is not known");
    }
  }

  private void compare(int n, int predicate) {
    for (int k = 0; k < n; k += 4) {
      float x = (float) FLOAT.get(a, k);
      float y = (float) FLOAT.get(b, k);
      boolean holds =
          switch (predicate) {
            case 1 -> x < y;
            case 7 -> x == x && y == y;
            case 13 -> x >= y;
            default -> throw new Emulator.Fault("Comparison " + predicate + " is not known");
          };
      INT.set(result, k, holds ? -1 : 0);
    }
  }
}
