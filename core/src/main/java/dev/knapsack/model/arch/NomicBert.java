package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;

/** Nomic Embed: BERT with rotated positions and gated MLPs. */
final class NomicBert extends Encoder {
  @Override
  Activation activation() {
    return Activation.SILU;
  }

  @Override
  boolean fuses(Block block) {
    return block instanceof Attention;
  }
}
