package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Operand.zmm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Broadcast;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * Code in two spellings: as {@link Assembler} is told to write it, and as text for the GNU
 * assembler in Intel's syntax; and the file of bytes that the GNU assembler made of the text.
 *
 * <p>Where two encodings are equal in meaning, the text names the one that {@link Assembler} takes
 * by a pseudo prefix: {@code {load}}, {@code {vex}}, {@code {vex3}}, {@code {evex}}, {@code
 * {disp32}}. Two have no pseudo prefix and are left out: a shift by one, and four bytes of constant
 * with rax.
 *
 * <p>{@link #main} makes the file again, with {@code as} and {@code objcopy} of GNU binutils, in a
 * built tree:
 *
 * <pre>
 * java -cp core/target/classes:core/target/test-classes dev.knapsack.kernel.x86.Encodings \
 *     core/src/test/resources/dev/knapsack/kernel/x86/encodings.tsv
 * </pre>
 */
final class Encodings {
  /**
   * Some code.
   *
   * @param text in Intel's syntax, several instructions separated by semicolons; names of labels
   *     begin with {@code .L}
   */
  record Case(String text, Consumer<Assembler> code) {
    byte[] bytes() {
      Assembler a = new Assembler();
      code.accept(a);
      return a.finish();
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** Which operands an instruction takes. */
  enum Shape {
    /** A vector, and one or memory of the same width. */
    UNARY,
    /** A vector, and the lowest lane of one or of memory. */
    LOWEST,
    /** A vector, and half of one or of memory. */
    HALF,
    /** A vector, and a quarter of one or of memory. */
    QUARTER,
    /** A vector from memory alone. */
    LOAD,
    STORE,
    /** Two vectors, and one or memory. */
    BINARY,
    /** Three vectors. */
    REGISTERS,
    /** Two vectors, 128 bits of one or of memory, and a constant. */
    INSERT,
    /** Two vectors, 16 bits of memory, and a constant. */
    INSERT_WORD,
    /** Two vectors, one or memory, and a constant. */
    BINARY_CONSTANT,
    /** Two vectors and a constant. */
    CONSTANT,
    /** Half of the other vector, and a constant. */
    EXTRACT,
    NONE
  }

  /** Memory of every form of an address: what is peculiar about rsp, r12, rbp and r13 among it. */
  private static final List<Memory> ADDRESSES = addresses();

  private final List<Case> cases = new ArrayList<>();
  private final Set<String> texts = new HashSet<>();

  private Encodings() {}

  static List<Case> cases() {
    Encodings encodings = new Encodings();
    for (Instruction i : Instruction.values()) {
      for (int bits : widths(i)) {
        encodings.vectors(i, bits);
      }
    }
    encodings.allRegisters();
    encodings.allAddresses();
    encodings.broadcasts();
    encodings.general();
    encodings.labels();
    return encodings.cases;
  }

  private void add(String text, Consumer<Assembler> code) {
    if (texts.add(text)) {
      cases.add(new Case(text, code));
    }
  }

  static Shape shape(Instruction i) {
    return switch (i) {
      case VMOVUPS, VMOVDQU, VCVTPS2DQ, VCVTDQ2PS, VSQRTPS, VPABSB, VMOVSHDUP -> Shape.UNARY;
      case VBROADCASTSS, VPBROADCASTB, VPBROADCASTW, VPBROADCASTD, VMOVQ -> Shape.LOWEST;
      case VPMOVZXWD, VPMOVSXBW, VCVTPH2PS -> Shape.HALF;
      case VPMOVZXBD, VPMOVSXBD -> Shape.QUARTER;
      case VMOVSS, VMOVD, VBROADCASTI128 -> Shape.LOAD;
      case VMOVUPS_STORE, VMOVSS_STORE, VMOVDQU_STORE, VMOVQ_STORE -> Shape.STORE;
      case VINSERTI128 -> Shape.INSERT;
      case VPINSRW -> Shape.INSERT_WORD;
      case VPERM2I128, VCMPPS -> Shape.BINARY_CONSTANT;
      case VEXTRACTI128, VEXTRACTF128, VEXTRACTF64X4 -> Shape.EXTRACT;
      case VPSHUFD, VPERMILPS, VPSRLDQ, VPSRLW, VPSLLW, VPSRLD, VPSLLD -> Shape.CONSTANT;
      case VMOVHLPS -> Shape.REGISTERS;
      case VZEROUPPER -> Shape.NONE;
      default -> Shape.BINARY;
    };
  }

  static List<Integer> widths(Instruction i) {
    return switch (i) {
      case VMOVSS, VMOVSS_STORE, VMOVQ, VMOVQ_STORE, VMOVD, VPINSRW, VMOVHLPS, VADDSS, VDIVSS ->
          List.of(128);
      case VBROADCASTI128, VINSERTI128, VEXTRACTI128, VEXTRACTF128, VPERM2I128 -> List.of(256);
      case VPERMD -> List.of(256, 512);
      case VEXTRACTF64X4 -> List.of(512);
      default -> i.kind == Instruction.Kind.VEX ? List.of(128, 256) : List.of(128, 256, 512);
    };
  }

  /** An instruction with low and high registers, and memory. */
  private void vectors(Instruction i, int bits) {
    boolean upper = i.kind != Instruction.Kind.VEX;
    registers(i, bits, 1, 2, 3);
    registers(i, bits, 9, 10, 11);
    if (upper) {
      registers(i, bits, 17, 26, 31);
    }
    memory(i, bits, 5, 14, RSI.at(8));
    memory(i, bits, 13, 6, R12.at(R13, 4, 1000));
    if (upper) {
      memory(i, bits, 21, 30, RSI.at(8));
    }
  }

  private void registers(Instruction i, int bits, int first, int second, int third) {
    Vector d = new Vector(first, bits);
    Vector a = new Vector(second, bits);
    Vector b = new Vector(third, bits);
    switch (shape(i)) {
      case UNARY -> unary(i, d, a);
      case LOWEST -> unary(i, d, a.as(128));
      case HALF -> unary(i, d, a.as(Math.max(128, bits / 2)));
      case QUARTER -> unary(i, d, a.as(128));
      case BINARY, REGISTERS -> binary(i, d, a, b);
      case INSERT -> constant(i, d, a, b.as(128), 1);
      case BINARY_CONSTANT -> constant(i, d, a, b, 0x11);
      case CONSTANT ->
          add(text(i, a, evex(i, d, a)) + join(d, a, 5), assembler -> assembler.emit(i, d, a, 5));
      case EXTRACT -> {
        Vector to = d.as(bits / 2);
        add(text(i, to, evex(i, a)) + join(to, a, 1), assembler -> assembler.extract(i, to, a, 1));
      }
      case LOAD, STORE, INSERT_WORD -> {}
      case NONE -> {
        if (bits == 128 && first < 8) {
          add(name(i), Assembler::zeroUpper);
        }
      }
    }
  }

  private void memory(Instruction i, int bits, int first, int second, Memory m) {
    Vector d = new Vector(first, bits);
    Vector a = new Vector(second, bits);
    switch (shape(i)) {
      case UNARY, LOWEST, HALF, QUARTER, LOAD -> unary(i, d, m);
      case STORE ->
          add(text(i, m, evex(i, d, m)) + join(m, d), assembler -> assembler.store(i, m, d));
      case BINARY -> binary(i, d, a, m);
      case INSERT, BINARY_CONSTANT -> constant(i, d, a, m, 1);
      case INSERT_WORD -> constant(i, d, a, m, 7);
      case CONSTANT, EXTRACT, REGISTERS, NONE -> {}
    }
  }

  private void unary(Instruction i, Vector d, Operand a) {
    boolean choice = i == Instruction.VMOVUPS || i == Instruction.VMOVDQU;
    String load = choice && a instanceof Vector ? "{load} " : "";
    add(load + text(i, a, evex(i, d, a)) + join(d, a), assembler -> assembler.emit(i, d, a));
  }

  private void binary(Instruction i, Vector d, Vector a, Operand b) {
    add(text(i, b, evex(i, d, a)) + join(d, a, b), assembler -> assembler.emit(i, d, a, b));
  }

  private void constant(Instruction i, Vector d, Vector a, Operand b, int constant) {
    add(
        text(i, b, evex(i, d, a)) + join(d, a, b, constant),
        assembler -> assembler.emit(i, d, a, b, constant));
  }

  /** Each of three registers from each quarter of the registers. */
  private void allRegisters() {
    int[] numbers = {0, 15, 16, 31};
    for (int first : numbers) {
      for (int second : numbers) {
        for (int third : numbers) {
          registers(Instruction.VPADDD, 512, first, second, third);
          if (Math.max(Math.max(first, second), third) < 16) {
            registers(Instruction.VADDPS, 256, first, second, third);
          }
        }
        registers(Instruction.VPSLLD, 256, first, second, 0);
      }
    }
  }

  private void allAddresses() {
    for (Memory m : ADDRESSES) {
      memory(Instruction.VMOVUPS, 256, 9, 0, m);
      memory(Instruction.VPSHUFB, 128, 2, 12, m);
      memory(Instruction.VMOVUPS_STORE, 512, 3, 0, m);
      memory(Instruction.VPDPBUSD, 256, 25, 7, m);
      add("mov" + join("r14", m), a -> a.move(R14, m));
      add("mov" + join(m, "rdx"), a -> a.store(m, RDX));
      add("lea" + join("rdi", m), a -> a.address(RDI, m));
      add("mov" + join("ebp", m), a -> a.moveInt(RBP, m));
    }
    for (Memory m : List.of(RSI.at(8), R12.at(R13, 4, 1000))) {
      add("movzx" + join("eax", "word ptr " + m(m)), a -> a.moveShort(RAX, m));
      add("movzx" + join("r9d", "word ptr " + m(m)), a -> a.moveShort(R9, m));
      add("prefetcht0" + join(m), a -> a.prefetch(m));
    }
  }

  /** Displacements that are a multiple of what is read, and those that are not, or too far. */
  private void broadcasts() {
    for (Instruction i : Instruction.values()) {
      if (!i.broadcasts()) {
        continue;
      }
      for (int displacement : new int[] {0, 4, -512, 508, 512, 7}) {
        Memory m = RSI.at(R13, 2, displacement);
        binary(i, zmm(3), zmm(12), m.broadcast());
        binary(i, zmm(27), zmm(31), m.broadcast());
      }
      binary(i, ymm(2), ymm(3), R9.at(4).broadcast());
    }
    for (int displacement : new int[] {-8192, -8191, 8128, 8192, 64, 32}) {
      memory(Instruction.VMOVUPS, 512, 30, 0, RDI.at(displacement));
      memory(Instruction.VPMOVZXWD, 512, 30, 0, RDI.at(displacement));
      memory(Instruction.VMOVUPS_STORE, 512, 30, 0, RDX.at(displacement));
    }
  }

  private static List<Memory> addresses() {
    List<Memory> all = new ArrayList<>();
    int[] displacements = {0, -64, 127, 128, -128, -129, 0x12345678};
    int scale = 1;
    int next = 0;
    for (Register base : List.of(RAX, RSP, RBP, R12, R13, RDI, R9)) {
      all.add(base.at(0));
      all.add(base.at(displacements[1 + next % 6]));
      for (Register index : List.of(RBP, R12, R13)) {
        all.add(base.at(index, scale, 0));
        all.add(base.at(index, 8 / scale, displacements[next++ % 7]));
        scale = scale == 8 ? 1 : 2 * scale;
      }
    }
    return all;
  }

  private interface OnRegisters {
    void write(Assembler a, Register d, Register from);
  }

  private interface OnConstant {
    void write(Assembler a, Register d, int value);
  }

  private void general() {
    for (Register d : List.of(RAX, RBX, RSP, R8, R13)) {
      for (Register from : List.of(RDX, RSP, RBP, R12, R15)) {
        onRegisters("mov", d, from, Assembler::move);
        onRegisters("add", d, from, Assembler::add);
        onRegisters("sub", d, from, Assembler::subtract);
        onRegisters("cmp", d, from, Assembler::compare);
        Vector v = xmm(d.number);
        add("vmovd" + join(v, name32(from)), a -> a.move(v, from));
      }
      for (int value : new int[] {1, -64, 127, -128, 128, -129, 1 << 27, Integer.MIN_VALUE}) {
        if (d != RAX || value == (byte) value) {
          onConstant("add", d, value, Assembler::add);
          onConstant("sub", d, value, Assembler::subtract);
          onConstant("and", d, value, Assembler::and);
          onConstant("cmp", d, value, Assembler::compare);
        }
        add("mov" + join(name32(d), value), a -> a.move(d, value));
      }
      for (int by : new int[] {2, 31, 63}) {
        onConstant("shl", d, by, Assembler::shiftLeft);
        onConstant("shr", d, by, Assembler::shiftRight);
      }
      onRegister("push", d, Assembler::push);
      onRegister("pop", d, Assembler::pop);
    }
    add("ret", Assembler::ret);
    add("cpuid", Assembler::cpuid);
    add("xgetbv", Assembler::xgetbv);
    for (int size = 1; size < 32; size++) {
      int before = 32 - size;
      add(
          ".fill %d, 1, 0xC3; .nops %d, 9; ret".formatted(before, size),
          a -> {
            for (int i = 0; i < before; i++) {
              a.ret();
            }
            a.align(32);
            a.ret();
          });
    }
  }

  private void onRegister(String name, Register r, BiConsumer<Assembler, Register> code) {
    add(name + join(name64(r)), a -> code.accept(a, r));
  }

  private void onRegisters(String name, Register d, Register from, OnRegisters code) {
    add("{load} " + name + join(name64(d), name64(from)), a -> code.write(a, d, from));
  }

  private void onConstant(String name, Register d, int value, OnConstant code) {
    add(name + join(name64(d), value), a -> code.write(a, d, value));
  }

  private void labels() {
    for (Condition when : Condition.values()) {
      String name =
          switch (when) {
            case BELOW -> "jb";
            case AT_LEAST -> "jae";
            case EQUAL -> "je";
            case NOT_EQUAL -> "jne";
          };
      jumps(name, (a, to) -> a.jump(when, to));
    }
    jumps("jmp", Assembler::jump);
    constants();
    List<Case> loads = new ArrayList<>();
    byte[] bytes = {1, 2, 3, 4};
    loads.add(new Case("lea rax, [rip + .Lc]", a -> a.address(RAX, a.constant(bytes))));
    loads.add(new Case("mov r9, [rip + .Lc - 7]", a -> a.move(R9, a.constant(bytes).plus(-7))));
    loads.add(
        new Case(
            "vpinsrw xmm9, xmm2, [rip + .Lc + 2], 3",
            a -> a.emit(Instruction.VPINSRW, xmm(9), xmm(2), a.constant(bytes).plus(2), 3)));
    loads.add(
        new Case(
            "vmovss xmm30, [rip + .Lc]",
            a -> a.emit(Instruction.VMOVSS, xmm(30), a.constant(bytes))));
    for (Case load : loads) {
      add(
          load.text + "; ret; .balign 4, 0xCC; .Lc: .byte 1, 2, 3, 4",
          load.code.andThen(Assembler::ret));
    }
  }

  /** Backwards further than a byte reaches, to itself, and forwards. */
  private void jumps(String name, BiConsumer<Assembler, Label> jump) {
    add(
        ".La: .La0: {disp32} %1$s .La; {disp32} %1$s .Lb; .fill 200, 1, 0xC3; {disp32} %1$s .La0; .Lb: ret"
            .formatted(name),
        a -> {
          Label start = new Label();
          Label end = new Label();
          a.place(start);
          jump.accept(a, start);
          jump.accept(a, end);
          for (int i = 0; i < 200; i++) {
            a.ret();
          }
          jump.accept(a, start);
          a.place(end);
          a.ret();
        });
  }

  /** The largest first, each once. */
  private void constants() {
    add(
        "vmovss xmm1, [rip + .Lsmall]; vpaddb ymm2, ymm3, [rip + .Llarge];"
            + " vmovss xmm4, [rip + .Lsmall]; .balign 32, 0xCC;"
            + " .Llarge: .fill 32, 1, 7; .Lsmall: .byte 1, 2, 3, 4",
        a -> {
          byte[] small = {1, 2, 3, 4};
          a.emit(Instruction.VMOVSS, xmm(1), a.constant(small));
          a.emit(Instruction.VPADDB, ymm(2), ymm(3), Constants.bytes(a, 32, i -> 7));
          a.emit(Instruction.VMOVSS, xmm(4), a.constant(small));
        });
  }

  // Text.

  static String name(Instruction i) {
    return i.name().toLowerCase(Locale.ROOT).replaceFirst("_(store|vex)$", "");
  }

  /** Whether an instruction is written in the longer encoding. */
  private static boolean evex(Instruction i, Operand... operands) {
    boolean wide = i.kind == Instruction.Kind.EVEX;
    for (Operand operand : operands) {
      wide |= operand instanceof Vector v && (v.number() > 15 || v.bits() == 512);
    }
    return wide;
  }

  private static String text(Instruction i, Operand last, boolean evex) {
    String prefix =
        switch (last) {
          case Broadcast _ -> "";
          case Memory _ -> evex ? "{evex} " : i == Instruction.VPDPBUSD_VEX ? "{vex} " : "";
          case Vector v when v.number() > 7 && v.number() < 16 && !evex && v.bits() < 512 ->
              "{vex3} ";
          case Vector _ ->
              evex && i.kind == Instruction.Kind.EVEX
                  ? "{evex} "
                  : i == Instruction.VPDPBUSD_VEX ? "{vex} " : "";
        };
    return prefix + name(i);
  }

  private static String join(Object... operands) {
    List<String> all = new ArrayList<>();
    for (Object operand : operands) {
      all.add(
          switch (operand) {
            case Vector v ->
                (v.bits() == 128 ? "xmm" : v.bits() == 256 ? "ymm" : "zmm") + v.number();
            case Memory m -> m(m);
            case Broadcast(Memory m) -> "dword bcst " + m(m);
            default -> operand.toString();
          });
    }
    return " " + String.join(", ", all);
  }

  private static String m(Memory m) {
    StringBuilder text = new StringBuilder("[").append(name64(m.base()));
    if (m.index() != null) {
      text.append(" + ").append(m.scale()).append('*').append(name64(m.index()));
    }
    if (m.displacement() != 0) {
      text.append(m.displacement() < 0 ? " - " : " + ").append(Math.abs(m.displacement()));
    }
    return text.append(']').toString();
  }

  private static String name64(Register r) {
    return r.name().toLowerCase(Locale.ROOT);
  }

  private static String name32(Register r) {
    return r.number > 7 ? name64(r) + "d" : "e" + name64(r).substring(1);
  }

  // The file.

  private static final int SLOT = 64;

  /** Makes the file again that the first argument names. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    List<Case> cases = cases();
    Path folder = Files.createTempDirectory("encodings");
    Path source = folder.resolve("source.s");
    Path object = folder.resolve("object.o");
    Path binary = folder.resolve("binary");
    Files.writeString(source, source(cases));
    run("as", "--64", "-n", "-o", object.toString(), source.toString());
    run("objcopy", "-O", "binary", "-j", ".text", object.toString(), binary.toString());
    Files.writeString(Path.of(arguments[0]), lines(cases, Files.readAllBytes(binary)));
  }

  /** Each case at a multiple of 64 bytes, behind 64 bytes that begin with its length. */
  private static String source(List<Case> cases) {
    StringBuilder all = new StringBuilder(".intel_syntax noprefix\n.text\n");
    for (int i = 0; i < cases.size(); i++) {
      all.append(".balign 64\n.int end%1$d - begin%1$d\n.balign 64\nbegin%1$d: ".formatted(i))
          .append(cases.get(i).text.replace(".L", ".L" + i + "_"))
          .append("\nend%d:\n".formatted(i));
    }
    return all.toString();
  }

  private static String lines(List<Case> cases, byte[] binary) {
    ByteBuffer bytes = ByteBuffer.wrap(binary).order(ByteOrder.LITTLE_ENDIAN);
    StringBuilder lines = new StringBuilder();
    int at = 0;
    for (Case c : cases) {
      int begin = at + SLOT;
      int end = begin + bytes.getInt(at);
      lines.append(c.text).append('\t');
      lines.append(HexFormat.of().formatHex(binary, begin, end)).append('\n');
      at = Math.ceilDiv(end, SLOT) * SLOT;
    }
    return lines.toString();
  }

  private static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + ": " + said);
    }
  }
}
