package dev.knapsack.kernel.x86;

import java.lang.foreign.MemorySegment;

/**
 * A generated function that can be called.
 *
 * <p>Every function takes three addresses, in rdi, rsi and rdx, and four numbers, in rcx, r8, r9
 * and, above the return address, on the stack: so one linked call serves all.
 */
interface Code {
  /** Place of a function's fourth number on entry. */
  Operand.Memory FOURTH = Register.RSP.at(Long.BYTES);

  /** Makes code callable. */
  interface Loader {
    Code load(byte[] code);
  }

  /**
   * Calls the function, which stays within what the addresses stand for.
   *
   * @throws IllegalStateException if what an address stands for has been closed
   */
  void call(
      MemorySegment first,
      MemorySegment second,
      MemorySegment third,
      long a,
      long b,
      long c,
      long d);
}
