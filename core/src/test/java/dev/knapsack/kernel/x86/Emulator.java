package dev.knapsack.kernel.x86;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A processor in software: reads a function's bytes as Intel's manual says (volume 2, chapter 2)
 * and does what they say, so that code can be tested for processors that are not at hand.
 *
 * <p>It is stricter than a processor. Whatever lies outside of the three arguments, the function's
 * constants and 128 bytes below its stack is a {@link Fault}, as is an instruction that {@link Isa}
 * does not have, an encoding that {@link Assembler} has no reason to write, and a return with
 * registers lost that belong to the caller. On entry registers hold anything.
 */
final class Emulator implements Code {
  /** What would end a process, or should not be written. */
  static final class Fault extends RuntimeException {
    private static final long serialVersionUID = 1;

    Fault(String message) {
      super(message);
    }
  }

  private interface Action {
    void run();
  }

  /** Memory at an address. */
  private record Region(long start, MemorySegment memory) {
    boolean has(long address, int bytes) {
      long at = address - start;
      return at >= 0 && at + bytes <= memory.byteSize();
    }
  }

  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final long CODE = 1L << 32;
  private static final long STACK = 1L << 33;
  private static final int PUSHES = 64;
  private static final int RED_ZONE = 128;
  private static final long RETURN = 0x1234_5678_9ABCL;

  /** No test needs more: a loop that does not end. */
  private static final long MOST_INSTRUCTIONS = 1L << 24;

  private static final int RSP = Register.RSP.number;

  /** Those a function leaves as they were: rbx, rsp, rbp, r12 to r15. */
  private static final int[] CALLERS = {3, 4, 5, 12, 13, 14, 15};

  private final Random random = new Random(1);
  private final byte[] code;
  private final Isa isa;
  private final VectorUnit vectors = new VectorUnit();
  private final long[] registers = new long[16];
  private final List<Region> regions = new ArrayList<>();

  /** By place; with where the next begins. */
  private final Action[] actions;

  private final int[] ends;

  /** The place of the next instruction. */
  private int next;

  private boolean done;
  private boolean zero;
  private boolean carry;

  Emulator(byte[] code, Isa isa) {
    this.code = code;
    this.isa = isa;
    actions = new Action[code.length];
    ends = new int[code.length];
  }

  @Override
  public void call(
      MemorySegment first,
      MemorySegment second,
      MemorySegment third,
      long a,
      long b,
      long c,
      long d) {
    vectors.clutter(random);
    for (int i = 0; i < registers.length; i++) {
      registers[i] = random.nextLong();
    }
    regions.clear();
    MemorySegment stack = MemorySegment.ofArray(new byte[PUSHES + RED_ZONE + 2 * Long.BYTES]);
    registers[RSP] = STACK + PUSHES + RED_ZONE;
    regions.add(new Region(STACK, stack));
    regions.add(new Region(CODE, MemorySegment.ofArray(code).asReadOnly()));
    registers[Register.RDI.number] = map(1, first);
    registers[Register.RSI.number] = map(2, second);
    registers[Register.RDX.number] = map(3, third);
    registers[Register.RCX.number] = a;
    registers[Register.R8.number] = b;
    registers[Register.R9.number] = c;
    write(registers[RSP], RETURN);
    write(registers[RSP] + Long.BYTES, d);
    long[] before = registers.clone();
    run();
    before[RSP] += Long.BYTES;
    for (int r : CALLERS) {
      if (registers[r] != before[r]) {
        throw new Fault("Register %d is the caller's, and lost".formatted(r));
      }
    }
    if (!vectors.upperHalvesAreZero()) {
      throw new Fault("A return without vzeroupper slows the caller down");
    }
  }

  private long map(int number, MemorySegment memory) {
    long start = ((long) number << 40) + (memory.isNative() ? memory.address() & 4095 : 0);
    regions.add(new Region(start, memory));
    return start;
  }

  private void run() {
    next = 0;
    done = false;
    for (long count = 0; !done; count++) {
      int at = next;
      if (at < 0 || at >= code.length || count > MOST_INSTRUCTIONS) {
        throw new Fault("%d instructions, then one at %x".formatted(count, at));
      }
      if (actions[at] == null) {
        Decoder decoder = new Decoder(at);
        actions[at] = decoder.decode();
        ends[at] = decoder.at;
      }
      next = ends[at];
      try {
        actions[at].run();
      } catch (Fault | UnsupportedOperationException e) {
        throw new Fault("at %x: %s".formatted(at, e.getMessage()));
      }
    }
  }

  // Memory.

  private Region region(long address, int bytes) {
    for (Region region : regions) {
      if (region.has(address, bytes)) {
        return region;
      }
    }
    throw new Fault(
        "%d bytes at %x, which is outside of %s"
            .formatted(
                bytes,
                address,
                regions.stream()
                    .map(r -> "%x + %d".formatted(r.start, r.memory.byteSize()))
                    .toList()));
  }

  private void read(long address, byte[] to, int bytes) {
    Region region = region(address, bytes);
    MemorySegment.copy(region.memory, ValueLayout.JAVA_BYTE, address - region.start, to, 0, bytes);
  }

  private void write(long address, byte[] from, int bytes) {
    Region region = region(address, bytes);
    MemorySegment.copy(
        from, 0, region.memory, ValueLayout.JAVA_BYTE, address - region.start, bytes);
  }

  private long readLong(long address) {
    Region region = region(address, Long.BYTES);
    return region.memory.get(I64, address - region.start);
  }

  private long readInt(long address) {
    Region region = region(address, Integer.BYTES);
    return region.memory.get(I32, address - region.start) & 0xFFFF_FFFFL;
  }

  private long readShort(long address) {
    byte[] two = new byte[2];
    read(address, two, 2);
    return two[0] & 0xFF | (two[1] & 0xFF) << 8;
  }

  private void write(long address, long value) {
    Region region = region(address, Long.BYTES);
    region.memory.set(I64, address - region.start, value);
  }

  private void compare(long a, long b) {
    zero = a == b;
    carry = Long.compareUnsigned(a, b) < 0;
  }

  private void flags(long result, boolean carries) {
    zero = result == 0;
    carry = carries;
  }

  /** Reads one instruction. */
  private final class Decoder {
    private int at;

    // What prefixes say: bits beyond three of a register's number.
    private int w;
    private int r;
    private int x;
    private int b;

    // What a byte of addressing says.
    private int register;
    private int extension;
    private boolean memory;
    private int rm;
    private int base = -1;
    private int index = -1;
    private int scale;
    private long displacement;

    Decoder(int at) {
      this.at = at;
    }

    private int u8() {
      if (at >= code.length) {
        throw new Fault("The code ends within an instruction");
      }
      return code[at++] & 0xFF;
    }

    private int i32() {
      int value = 0;
      for (int i = 0; i < 4; i++) {
        value |= u8() << 8 * i;
      }
      return value;
    }

    private void check(boolean right, String what) {
      if (!right) {
        throw new Fault("at %x: %s".formatted(at, what));
      }
    }

    /**
     * The byte of addressing, and what follows it.
     *
     * @param unit what a displacement of one byte counts
     * @param constants bytes of the instruction behind it
     */
    private void addressing(int unit, int constants) {
      int byteOfIt = u8();
      int mod = byteOfIt >> 6;
      extension = byteOfIt >> 3 & 7;
      register = r | extension;
      rm = byteOfIt & 7;
      memory = mod != 3;
      if (!memory) {
        rm |= b | x << 1;
        return;
      }
      if (rm == 4) {
        int sib = u8();
        scale = sib >> 6;
        int number = x | sib >> 3 & 7;
        index = number == 4 ? -1 : number;
        base = b | sib & 7;
        check((sib & 7) != 5 || mod != 0, "An address without a base");
      } else if (rm == 5 && mod == 0) {
        // From the end of the instruction.
        displacement = i32();
        displacement += CODE + at + constants;
        return;
      } else {
        base = b | rm;
      }
      displacement = mod == 0 ? 0 : mod == 1 ? (long) (byte) u8() * unit : i32();
    }

    private long address() {
      return displacement
          + (base < 0 ? 0 : registers[base])
          + (index < 0 ? 0 : registers[index] << scale);
    }

    Action decode() {
      int first = u8();
      if (first == 0x62 || first == 0xC4 || first == 0xC5) {
        return vector(first);
      }
      int opcode = first;
      if (first == 0x66) {
        int nothing = u8();
        check(nothing == 0x90 || nothing == 0x0F && u8() == 0x1F, "66 in front of no nop");
        if (nothing == 0x0F) {
          addressing(1, 0);
        }
        return () -> {};
      }
      if (first >> 4 == 4) {
        w = first >> 3 & 1;
        r = (first >> 2 & 1) << 3;
        x = (first >> 1 & 1) << 3;
        b = (first & 1) << 3;
        opcode = u8();
      }
      return general(opcode);
    }

    private Action general(int opcode) {
      int low = opcode & 7 | b;
      return switch (opcode) {
        case 0x0F -> twoBytes();
        case 0x03, 0x2B, 0x3B -> {
          addressing(1, 0);
          check(w == 1 && !memory, "Arithmetic is of 64 bits and registers");
          yield () -> arithmetic(opcode, register, registers[rm]);
        }
        case 0x81, 0x83 -> {
          addressing(1, 0);
          check(w == 1 && !memory, "Arithmetic is of 64 bits and registers");
          long value = opcode == 0x83 ? (byte) u8() : i32();
          int operation = extension;
          yield () -> arithmetic(operation << 3 | 3, rm, value);
        }
        case 0xC1 -> {
          addressing(1, 0);
          int by = u8();
          check(w == 1 && !memory && by < 64, "Shifts are of 64 bits and registers");
          check(extension == 4 || extension == 5, "A shift of another kind");
          yield () -> registers[rm] = extension == 4 ? registers[rm] << by : registers[rm] >>> by;
        }
        case 0x8B -> {
          addressing(1, 0);
          check(w == 1 || memory, "Registers are moved whole");
          yield () ->
              registers[register] =
                  !memory ? registers[rm] : w == 1 ? readLong(address()) : readInt(address());
        }
        case 0x89 -> {
          addressing(1, 0);
          check(w == 1 && memory, "64 bits are stored");
          yield () -> write(address(), registers[register]);
        }
        case 0x8D -> {
          addressing(1, 0);
          check(w == 1 && memory, "An address of 64 bits");
          yield () -> registers[register] = address();
        }
        case 0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF -> {
          check(w == 0, "A constant of 32 bits");
          long value = i32() & 0xFFFF_FFFFL;
          yield () -> registers[low] = value;
        }
        case 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57 ->
            () -> {
              registers[RSP] -= Long.BYTES;
              write(registers[RSP], registers[low]);
            };
        case 0x58, 0x59, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F ->
            () -> {
              registers[low] = readLong(registers[RSP]);
              registers[RSP] += Long.BYTES;
            };
        case 0x90 -> () -> {};
        case 0xC3 ->
            () -> {
              check(readLong(registers[RSP]) == RETURN, "A return to elsewhere");
              registers[RSP] += Long.BYTES;
              done = true;
            };
        case 0xE9 -> {
          int to = i32() + at;
          yield () -> next = to;
        }
        default -> throw new Fault("No instruction %x is known".formatted(opcode));
      };
    }

    private void arithmetic(int opcode, int to, long value) {
      long was = registers[to];
      switch (opcode) {
        case 0x03 -> {
          registers[to] = was + value;
          flags(was + value, Long.compareUnsigned(was + value, was) < 0);
        }
        case 0x23 -> {
          registers[to] = was & value;
          flags(was & value, false);
        }
        case 0x2B -> {
          compare(was, value);
          registers[to] = was - value;
        }
        case 0x3B -> compare(was, value);
        default -> throw new Fault("No arithmetic %x is known".formatted(opcode));
      }
    }

    private Action twoBytes() {
      int opcode = u8();
      return switch (opcode) {
        case 0xB7 -> {
          addressing(1, 0);
          check(memory, "16 bits of memory");
          yield () -> registers[register] = readShort(address());
        }
        case 0x18, 0x1F -> {
          addressing(1, 0);
          // What is asked for early may lie anywhere; what does nothing, too.
          yield () -> {};
        }
        case 0x82, 0x83, 0x84, 0x85 -> {
          int to = i32() + at;
          boolean wanted = (opcode & 1) == 0;
          yield () -> {
            if ((opcode < 0x84 ? carry : zero) == wanted) {
              next = to;
            }
          };
        }
        default -> throw new Fault("No instruction 0F %x is known".formatted(opcode));
      };
    }

    private Action vector(int first) {
      boolean evex = first == 0x62;
      int one = u8();
      int map = 1;
      int last = one;
      int bits;
      boolean broadcast = false;
      r = (~one >> 7 & 1) << 3;
      if (first != 0xC5) {
        x = (~one >> 6 & 1) << 3;
        b = (~one >> 5 & 1) << 3;
        map = one & (evex ? 7 : 31);
        last = u8();
        w = last >> 7;
      }
      int low = ~last >> 3 & 15;
      int high = 0;
      if (evex) {
        int third = u8();
        check(isa == Isa.AVX512_VNNI, isa + " has no EVEX");
        check((one & 8) == 0 && (last & 4) != 0, "Fixed bits of EVEX");
        check((third & 0x87) == 0, "Masks are not in use");
        r |= (~one >> 4 & 1) << 4;
        high = (~third >> 3 & 1) << 4;
        broadcast = (third & 0x10) != 0;
        check(third >> 5 < 3, "A length of EVEX");
        bits = 128 << (third >> 5);
      } else {
        bits = 128 << (last >> 2 & 1);
      }
      int second = high | low;
      int opcode = u8();
      int reg = at < code.length ? code[at] >> 3 & 7 : 0;
      Instruction i = VectorUnit.instruction(evex, map, last & 3, w, opcode, reg);
      check(i != Instruction.VPDPBUSD_VEX || isa == Isa.AVX_VNNI, isa + " has no " + i);
      if (i == Instruction.VZEROUPPER) {
        return vectors::zeroUpper;
      }
      boolean constant = VectorUnit.hasConstant(i);
      int bytes = broadcast ? Integer.BYTES : VectorUnit.memoryBytes(i, bits);
      addressing(evex ? bytes : 1, constant ? 1 : 0);
      check(!broadcast || memory, "Roundings are not in use");
      check(memory || evex || rm < 16, "X of VEX in a register");
      check(VectorUnit.readsSecond(i) || second == 0, "A second operand where there is none");
      int value = constant ? u8() : 0;
      boolean all = broadcast;
      int width = bits;
      if (i.name().endsWith("_STORE")) {
        check(memory, "A store to memory");
        return () -> write(address(), vectors.stored(register), bytes);
      }
      if (i == Instruction.VMOVD) {
        return () -> vectors.move(register, registers[rm]);
      }
      return () -> {
        if (memory) {
          read(address(), vectors.last(), bytes);
        } else {
          vectors.takeLast(rm);
        }
        if (all) {
          vectors.spread();
        }
        vectors.execute(i, width, register, second, rm, value);
      };
    }
  }
}
