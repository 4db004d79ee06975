package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.TimeMix;
import java.util.List;

/** ARWKV 7: Qwen 2 with the time mixing of RWKV 7 in place of attention. */
final class Arwkv7 extends Family {
  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(timeMix(header, layer), feedForward(header, layer));
  }

  static TimeMix timeMix(Header header, int layer) {
    int width = header.width();
    int headSize = header.columns("wkv.head_size");
    if (width % headSize != 0 || (long) width * headSize > Header.MOST_COLUMNS) {
      throw header.wrong(
          "wkv.head_size",
          "a width of %d is no heads of %d numbers, of a state of each".formatted(width, headSize));
    }
    return new TimeMix(
        BEFORE_MIXER,
        width,
        headSize,
        new TimeMix.Ranks(
            header.columns("attention.decay_lora_rank"),
            header.columns("attention.iclr_lora_rank"),
            layer == 0 ? 0 : header.columns("attention.value_residual_mix_lora_rank"),
            header.optionalColumns("attention.gate_lora_rank")));
  }
}
