package dev.knapsack.model.arch;

/** LLaDA: Llama that denoises texts. */
final class Llada extends Llama {
  @Override
  boolean denoises() {
    return true;
  }
}
