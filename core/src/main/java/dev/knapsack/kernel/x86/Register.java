package dev.knapsack.kernel.x86;

/** The general-purpose registers, 64 bits wide, by their numbers in an encoding. */
enum Register {
  RAX(0),
  RCX(1),
  RDX(2),
  RBX(3),
  RSP(4),
  RBP(5),
  RSI(6),
  RDI(7),
  R8(8),
  R9(9),
  R10(10),
  R11(11),
  R12(12),
  R13(13),
  R14(14),
  R15(15);

  final int number;

  Register(int number) {
    this.number = number;
  }

  /** A place in memory: {@code [this + displacement]}. */
  Operand.Memory at(int displacement) {
    return new Operand.Memory(this, null, 1, displacement, null);
  }

  /** A place in memory: {@code [this + scale · index + displacement]}. */
  Operand.Memory at(Register index, int scale, int displacement) {
    return new Operand.Memory(this, index, scale, displacement, null);
  }
}
