package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.x86.Operand.Broadcast;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Writes x86-64 machine code: the instructions that the generators use, jumps, and constants.
 *
 * <p>Operands stand in Intel's order, what is written first. A label is placed once and may be used
 * before. Constants are laid behind the code when it is {@linkplain #finish finished}, each once,
 * at a multiple of its size.
 *
 * <p>Source of the encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume
 * 2, chapter 2.
 */
final class Assembler {
  private record Constant(byte[] bytes, Label label) {}

  private static final int VEX_THREE_BYTES = 0xC4;
  private static final int VEX_TWO_BYTES = 0xC5;
  private static final int EVEX = 0x62;

  /** In the place of a register number: there is a byte more, with base and index. */
  private static final int SIB = 4;

  /**
   * Instructions of 1, 2, … bytes that do nothing, as the manual recommends under NOP: of three
   * bytes or more, with an address that is not used.
   */
  private static final byte[][] NOTHING = {
    {(byte) 0x90},
    {0x66, (byte) 0x90},
    {0x0F, 0x1F, 0x00},
    {0x0F, 0x1F, 0x40, 0},
    {0x0F, 0x1F, 0x44, 0, 0},
    {0x66, 0x0F, 0x1F, 0x44, 0, 0},
    {0x0F, 0x1F, (byte) 0x80, 0, 0, 0, 0},
    {0x0F, 0x1F, (byte) 0x84, 0, 0, 0, 0, 0},
    {0x66, 0x0F, 0x1F, (byte) 0x84, 0, 0, 0, 0, 0}
  };

  private static final int BREAKPOINT = 0xCC;

  private byte[] code = new byte[1024];
  private int length;

  /** Those that were used. */
  private final Set<Label> labels = new LinkedHashSet<>();

  private final List<Constant> constants = new ArrayList<>();

  // Vector instructions.

  /** {@code d = f(a)}. */
  void emit(Instruction i, Vector d, Operand a) {
    vector(i, d.bits(), d.number(), 0, a, 0);
  }

  /** {@code d = f(a, b)}. */
  void emit(Instruction i, Vector d, Vector a, Operand b) {
    checkSameWidth(i, d, a);
    vector(i, d.bits(), d.number(), a.number(), b, 0);
  }

  /** {@code d = f(a, b, immediate)}. */
  void emit(Instruction i, Vector d, Vector a, Operand b, int immediate) {
    checkSameWidth(i, d, a);
    vector(i, d.bits(), d.number(), a.number(), b, 1);
    emitByte(immediate);
  }

  /** {@code d = a} permuted or shifted by a constant. */
  void emit(Instruction i, Vector d, Vector a, int immediate) {
    checkSameWidth(i, d, a);
    if (i.extension >= 0) {
      vector(i, d.bits(), i.extension, d.number(), a, 1);
    } else {
      vector(i, d.bits(), d.number(), 0, a, 1);
    }
    emitByte(immediate);
  }

  /** Writes a register to memory. */
  void store(Instruction i, Memory to, Vector from) {
    vector(i, from.bits(), from.number(), 0, to, 0);
  }

  /** Half {@code immediate} of 256 bits, to a register of 128. */
  void extract(Instruction i, Vector d, Vector from, int immediate) {
    vector(i, from.bits(), from.number(), 0, d, 1);
    emitByte(immediate);
  }

  void zeroUpper() {
    emitByte(VEX_TWO_BYTES);
    emitByte(0xF8);
    emitByte(Instruction.VZEROUPPER.opcode);
  }

  /** A general-purpose register to the lowest lane. */
  void move(Vector d, Register from) {
    if (d.number() > 15) {
      throw new IllegalArgumentException(
          "A move to vector register " + d.number() + " is not here");
    }
    vex(Instruction.VMOVD, 128, d.number(), 0, from.number, 0, false);
    modRegister(d.number(), from.number);
  }

  private static void checkSameWidth(Instruction i, Vector d, Vector a) {
    if (d.bits() != a.bits()) {
      throw new IllegalArgumentException(
          "%s of registers of %d and %d bits".formatted(i, d.bits(), a.bits()));
    }
  }

  private void vector(
      Instruction i, int bits, int register, int second, Operand rm, int immediateBytes) {
    int rmNumber = rm instanceof Vector v ? v.number() : 0;
    boolean broadcast = rm instanceof Broadcast;
    boolean wide = bits == 512 || register > 15 || second > 15 || rmNumber > 15 || broadcast;
    if (i.kind == Instruction.Kind.VEX && wide) {
      throw new IllegalArgumentException(i + " has no registers over 15 and no 512 bits here");
    }
    if (broadcast && !i.broadcasts()) {
      throw new IllegalArgumentException(i + " takes no number for all lanes here");
    }
    boolean evex = wide || i.kind == Instruction.Kind.EVEX;
    switch (rm) {
      case Vector v -> {
        prefix(evex, i, bits, register, second, v.number(), 0, false, false);
        modRegister(register, v.number());
      }
      case Memory m -> {
        prefix(evex, i, bits, register, second, number(m.base()), number(m.index()), true, false);
        modMemory(register, m, immediateBytes, evex ? i.memoryBytes(bits) : 1);
      }
      case Broadcast(Memory m) -> {
        prefix(true, i, bits, register, second, number(m.base()), number(m.index()), true, true);
        modMemory(register, m, immediateBytes, Integer.BYTES);
      }
    }
  }

  private static int number(@org.jspecify.annotations.Nullable Register r) {
    return r == null ? 0 : r.number;
  }

  /**
   * Emits all bytes before that of addressing.
   *
   * @param base or a vector register
   */
  private void prefix(
      boolean evex,
      Instruction i,
      int bits,
      int register,
      int second,
      int base,
      int index,
      boolean memory,
      boolean broadcast) {
    if (evex) {
      evex(i, bits, register, second, base, index, memory, broadcast);
    } else {
      vex(i, bits, register, second, base, index, memory);
    }
  }

  private void vex(
      Instruction i, int bits, int register, int second, int base, int index, boolean memory) {
    int r = ~register >> 3 & 1;
    int x = memory ? ~index >> 3 & 1 : 1;
    int b = ~base >> 3 & 1;
    int l = bits == 256 ? 1 : 0;
    int last = (~second & 15) << 3 | l << 2 | i.prefix;
    if (x == 1 && b == 1 && i.map == 1 && i.w == 0) {
      emitByte(VEX_TWO_BYTES);
      emitByte(r << 7 | last);
    } else {
      emitByte(VEX_THREE_BYTES);
      emitByte(r << 7 | x << 6 | b << 5 | i.map);
      emitByte(i.w << 7 | last);
    }
    emitByte(i.opcode);
  }

  private void evex(
      Instruction i,
      int bits,
      int register,
      int second,
      int base,
      int index,
      boolean memory,
      boolean broadcast) {
    int r = ~register >> 3 & 1;
    int rHigh = ~register >> 4 & 1;
    int x = memory ? ~index >> 3 & 1 : ~base >> 4 & 1;
    int b = ~base >> 3 & 1;
    emitByte(EVEX);
    emitByte(r << 7 | x << 6 | b << 5 | rHigh << 4 | i.map);
    emitByte(i.w << 7 | (~second & 15) << 3 | 1 << 2 | i.prefix);
    int length = bits == 512 ? 2 : bits == 256 ? 1 : 0;
    emitByte(length << 5 | (broadcast ? 1 : 0) << 4 | (~second >> 4 & 1) << 3);
    emitByte(i.opcode);
  }

  // General-purpose instructions, on 64 bits where not said otherwise.

  void move(Register d, Register from) {
    registers(0x8B, d, from);
  }

  void move(Register d, Memory from) {
    rex(1, d, from);
    emitByte(0x8B);
    modMemory(d.number, from, 0, 1);
  }

  void store(Memory to, Register from) {
    rex(1, from, to);
    emitByte(0x89);
    modMemory(from.number, to, 0, 1);
  }

  /** 32 bits; the upper half becomes zero. */
  void move(Register d, int value) {
    if (d.number > 7) {
      emitByte(0x41);
    }
    emitByte(0xB8 | (d.number & 7));
    emitInt(value);
  }

  /** 32 bits of memory; the upper half becomes zero. */
  void moveInt(Register d, Memory from) {
    rex(0, d, from);
    emitByte(0x8B);
    modMemory(d.number, from, 0, 1);
  }

  /** 16 bits of memory; the rest becomes zero. */
  void moveShort(Register d, Memory from) {
    rex(0, d, from);
    emitByte(0x0F);
    emitByte(0xB7);
    modMemory(d.number, from, 0, 1);
  }

  void address(Register d, Memory of) {
    rex(1, d, of);
    emitByte(0x8D);
    modMemory(d.number, of, 0, 1);
  }

  void add(Register d, Register a) {
    registers(0x03, d, a);
  }

  void subtract(Register d, Register a) {
    registers(0x2B, d, a);
  }

  void add(Register d, int value) {
    immediate(0, d, value);
  }

  void subtract(Register d, int value) {
    immediate(5, d, value);
  }

  void and(Register d, int value) {
    immediate(4, d, value);
  }

  void compare(Register a, Register b) {
    registers(0x3B, a, b);
  }

  void compare(Register a, int value) {
    immediate(7, a, value);
  }

  void shiftLeft(Register d, int by) {
    shift(4, d, by);
  }

  void shiftRight(Register d, int by) {
    shift(5, d, by);
  }

  void push(Register r) {
    if (r.number > 7) {
      emitByte(0x41);
    }
    emitByte(0x50 | (r.number & 7));
  }

  void pop(Register r) {
    if (r.number > 7) {
      emitByte(0x41);
    }
    emitByte(0x58 | (r.number & 7));
  }

  void ret() {
    emitByte(0xC3);
  }

  /** Asks for a line of memory that will be read soon. */
  void prefetch(Memory m) {
    rex(0, Register.RCX, m);
    emitByte(0x0F);
    emitByte(0x18);
    modMemory(1, m, 0, 1);
  }

  /** Leaves identification, for the leaf and subleaf in rax and rcx, in rax, rbx, rcx and rdx. */
  void cpuid() {
    emitByte(0x0F);
    emitByte(0xA2);
  }

  /** Leaves the extended control register of number rcx in rdx and rax. */
  void xgetbv() {
    emitByte(0x0F);
    emitByte(0x01);
    emitByte(0xD0);
  }

  /** The outcome of a comparison that a jump is taken for. */
  enum Condition {
    /** Unsigned. */
    BELOW(0x82),
    AT_LEAST(0x83),
    EQUAL(0x84),
    NOT_EQUAL(0x85);

    private final int opcode;

    Condition(int opcode) {
      this.opcode = opcode;
    }
  }

  void jump(Condition when, Label to) {
    emitByte(0x0F);
    emitByte(when.opcode);
    distance(to, 0);
  }

  void jump(Label to) {
    emitByte(0xE9);
    distance(to, 0);
  }

  // Labels and constants.

  void place(Label label) {
    if (label.place >= 0) {
      throw new IllegalStateException("A label is placed once");
    }
    label.place = length;
  }

  /**
   * Fills up with instructions that do nothing, as few as there can be, so that a loop begins at a
   * multiple.
   */
  void align(int bytes) {
    int left = Math.floorMod(-length, bytes);
    while (left > 0) {
      byte[] nothing = NOTHING[Math.min(left, NOTHING.length) - 1];
      for (byte b : nothing) {
        emitByte(b);
      }
      left -= nothing.length;
    }
  }

  /** A constant in memory, of 4, 8, 16, 32 or 64 bytes. */
  Memory constant(byte... bytes) {
    int size = bytes.length;
    if (Integer.bitCount(size) != 1 || size < 4 || size > 64) {
      throw new IllegalArgumentException("A constant has 4, 8, 16, 32 or 64 bytes, not " + size);
    }
    for (Constant c : constants) {
      if (Arrays.equals(c.bytes, bytes)) {
        return new Memory(null, null, 1, 0, c.label);
      }
    }
    Constant c = new Constant(bytes.clone(), new Label());
    constants.add(c);
    return new Memory(null, null, 1, 0, c.label);
  }

  /** The code with its constants, which works wherever it lies at a multiple of 64. */
  byte[] finish() {
    constants.sort((a, b) -> b.bytes.length - a.bytes.length);
    if (!constants.isEmpty()) {
      // Nobody comes here.
      while (length % constants.getFirst().bytes.length != 0) {
        emitByte(BREAKPOINT);
      }
    }
    for (Constant c : constants) {
      place(c.label);
      for (byte b : c.bytes) {
        emitByte(b);
      }
    }
    for (Label label : labels) {
      if (label.place < 0) {
        throw new IllegalStateException("A label is used that was never placed");
      }
      for (int use : label.uses) {
        // The distance counts from the end of the instruction; what lies between is there already.
        int extra = readInt(use);
        writeInt(use, label.place - (use + Integer.BYTES) + extra);
      }
      label.uses.clear();
    }
    return Arrays.copyOf(code, length);
  }

  private void distance(Label to, int extra) {
    labels.add(to);
    to.uses.add(length);
    emitInt(extra);
  }

  // Parts of an encoding.

  private void registers(int opcode, Register register, Register rm) {
    emitByte(0x48 | register.number >> 3 << 2 | rm.number >> 3);
    emitByte(opcode);
    modRegister(register.number, rm.number);
  }

  private void immediate(int extension, Register d, int value) {
    emitByte(0x48 | d.number >> 3);
    boolean small = value == (byte) value;
    emitByte(small ? 0x83 : 0x81);
    modRegister(extension, d.number);
    if (small) {
      emitByte(value);
    } else {
      emitInt(value);
    }
  }

  private void shift(int extension, Register d, int by) {
    emitByte(0x48 | d.number >> 3);
    emitByte(0xC1);
    modRegister(extension, d.number);
    emitByte(by);
  }

  private void rex(int w, Register register, Memory m) {
    int rex =
        w << 3 | register.number >> 3 << 2 | number(m.index()) >> 3 << 1 | number(m.base()) >> 3;
    if (rex != 0) {
      emitByte(0x40 | rex);
    }
  }

  private void modRegister(int register, int rm) {
    emitByte(0xC0 | (register & 7) << 3 | (rm & 7));
  }

  /**
   * The byte of addressing for memory, and what follows it.
   *
   * @param bytesAfter bytes of the instruction behind that
   * @param unit what a displacement of one byte counts
   */
  private void modMemory(int register, Memory m, int bytesAfter, int unit) {
    int reg = (register & 7) << 3;
    if (m.label() != null) {
      emitByte(reg | 5);
      distance(m.label(), m.displacement() - bytesAfter);
      return;
    }
    Register base = m.base();
    if (base == null) {
      throw new IllegalArgumentException("A place in memory has a base or a label");
    }
    int displacement = m.displacement();
    boolean needed = displacement != 0 || (base.number & 7) == Register.RBP.number;
    int units = displacement / unit;
    boolean small = displacement == units * unit && units == (byte) units;
    int mod = !needed ? 0 : small ? 1 : 2;
    Register index = m.index();
    if (index != null || (base.number & 7) == SIB) {
      emitByte(mod << 6 | reg | SIB);
      int scale = Integer.numberOfTrailingZeros(m.scale());
      int indexNumber = index == null ? SIB : index.number & 7;
      emitByte(scale << 6 | indexNumber << 3 | (base.number & 7));
    } else {
      emitByte(mod << 6 | reg | (base.number & 7));
    }
    if (mod == 1) {
      emitByte(units);
    } else if (mod == 2) {
      emitInt(displacement);
    }
  }

  private void emitByte(int b) {
    if (length == code.length) {
      code = Arrays.copyOf(code, 2 * length);
    }
    code[length++] = (byte) b;
  }

  private void emitInt(int value) {
    for (int i = 0; i < Integer.BYTES; i++) {
      emitByte(value >>> (8 * i));
    }
  }

  private int readInt(int at) {
    int value = 0;
    for (int i = 0; i < Integer.BYTES; i++) {
      value |= (code[at + i] & 0xFF) << (8 * i);
    }
    return value;
  }

  private void writeInt(int at, int value) {
    for (int i = 0; i < Integer.BYTES; i++) {
      code[at + i] = (byte) (value >>> (8 * i));
    }
  }
}
