package dev.knapsack.model.arch;

import dev.knapsack.model.Attention;

/** LLaDA: Llama whose tokens see all of a text, in which it fills masked ones. */
final class Llada extends Llama {
  @Override
  Attention.Source source() {
    return Attention.Source.ROWS;
  }
}
