package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.ChannelMix;
import dev.knapsack.model.Norms;
import java.util.List;
import java.util.Set;

/** RWKV 7: time mixing and channel mixing in each layer, after layer norms. */
final class Rwkv7 extends Family {
  private static final Norms BEFORE_CHANNELS = new Norms("attn_norm_2.weight", null);

  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_norm.bias", "attn_norm_2.bias", "time_mix_ln.weight", "time_mix_ln.bias");
  }

  @Override
  boolean centredNorms() {
    return true;
  }

  @Override
  String embeddingNorm() {
    return "token_embd_norm.weight";
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(
        Arwkv7.timeMix(header, layer),
        new ChannelMix(BEFORE_CHANNELS, header.width(), header.columns("feed_forward_length")));
  }
}
