package dev.knapsack.model.arch;

/** LLaDA with experts. */
final class LladaMoe extends Family {
  @Override
  boolean denoises() {
    return true;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }
}
