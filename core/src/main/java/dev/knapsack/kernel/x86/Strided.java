package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.x86.Operand.Memory;

/**
 * Things at equal distances in memory, as many as there are registers to reach them with: an
 * address takes one, two, four or eight times a register.
 *
 * @param first where the first is
 * @param stride bytes between two
 * @param odd registers that hold three, five and seven times the stride, as many as are needed
 */
record Strided(Register first, Register stride, Register... odd) {
  /** Fills the registers that hold multiples. */
  void prepare(Assembler a) {
    for (int i = 0; i < odd.length; i++) {
      // 3 = 1 + 2 · 1, 5 = 1 + 4 · 1, 7 = 3 + 4 · 1
      a.address(odd[i], (i == 2 ? odd[0] : stride).at(stride, i == 0 ? 2 : 4, 0));
    }
  }

  /** The {@code i}-th, up to the seventh, and {@code displacement} bytes further. */
  Memory at(int i, int displacement) {
    return switch (i) {
      case 0 -> first.at(displacement);
      case 1, 2, 4 -> first.at(stride, i, displacement);
      case 6 -> first.at(odd[0], 2, displacement);
      default -> first.at(odd[(i - 3) / 2], 1, displacement);
    };
  }
}
