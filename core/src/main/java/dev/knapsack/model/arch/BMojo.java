package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.EideticAttention;
import dev.knapsack.model.Norms;
import dev.knapsack.model.SelectiveScan.Selection;
import java.util.List;

/**
 * B'MOJO: in each layer a selective scan, and attention to a window, to the scan's results before
 * it and to tokens that these did not foretell.
 */
final class BMojo extends Family {
  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(attend(header, layer, context), feedForward(header, layer));
  }

  private EideticAttention attend(Header header, int layer, int context) {
    int headSize = header.keySize(layer);
    int kvHeads = header.kvHeads(layer);
    int window = header.columns("attention.sliding_window");
    int faded = header.columns("fading_length", window);
    int kept = header.optionalColumns("eidetic_length");
    if (2L * (2L * window + faded + kept) * kvHeads * headSize > Header.MOST_COLUMNS) {
      throw header.wrong(
          "eidetic_length",
          "a window of %d tokens, %d that fade and %d that are kept are too many for %d heads of %d"
              .formatted(window, faded, kept, kvHeads, headSize));
    }
    return new EideticAttention(
        attentionNorms(header, layer),
        Mamba.selectiveScan(header, Norms.NONE, Selection.AS_IT_IS),
        header.heads(layer),
        kvHeads,
        headSize,
        window,
        faded,
        kept,
        kept == 0 ? 0 : header.taps("innovation.conv_kernel"),
        rope(header, layer, context));
  }
}
