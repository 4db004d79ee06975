package dev.knapsack.model.arch;

import dev.knapsack.model.Attention;

/** Dream: Qwen 2 whose tokens see all of a text, in which it fills masked ones. */
final class Dream extends Qwen2 {
  @Override
  Attention.Source source() {
    return Attention.Source.ROWS;
  }
}
