package dev.knapsack.text;

/** The kind of a vocabulary entry. */
enum TokenType {
  UNDEFINED(0),
  NORMAL(1),
  UNKNOWN(2),
  /** Steers the model and is no text: beginning, end, roles. */
  CONTROL(3),
  /** Text that is always one token, whatever surrounds it. */
  USER_DEFINED(4),
  UNUSED(5),
  /** Stands for a single byte, written {@code <0x0A>}. */
  BYTE(6);

  private static final TokenType[] BY_NUMBER = values();

  private final byte number;

  TokenType(int number) {
    this.number = (byte) number;
  }

  /** The number that GGUF gives the type. */
  byte number() {
    return number;
  }

  static TokenType of(long number) {
    return number >= 0 && number < BY_NUMBER.length ? BY_NUMBER[(int) number] : UNDEFINED;
  }
}
