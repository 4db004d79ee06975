package dev.knapsack.model.arch;

/** Dream: Qwen 2.5 that denoises texts. */
final class Dream extends Qwen2 {
  @Override
  boolean denoises() {
    return true;
  }
}
