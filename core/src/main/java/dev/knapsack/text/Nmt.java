package dev.knapsack.text;

/** The characters that neural machine translation cleans out: SentencePiece's rule {@code nmt}. */
final class Nmt {
  private Nmt() {}

  static boolean keeps(int c) {
    return !((c >= 1 && c <= 8)
        || c == 0xB
        || (c >= 0xE && c <= 0x1F)
        || c == 0x7F
        || c == 0x8F
        || c == 0x9F);
  }

  static int replaced(int c) {
    boolean blank =
        c == '\t'
            || c == '\n'
            || c == '\f'
            || c == '\r'
            || c == 0x1680
            || (c >= 0x200B && c <= 0x200F)
            || c == 0x2028
            || c == 0x2029
            || c == 0x2581
            || c == 0xFEFF
            || c == 0xFFFD;
    return blank ? ' ' : c;
  }
}
