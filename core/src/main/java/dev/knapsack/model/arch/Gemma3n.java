package dev.knapsack.model.arch;

import dev.knapsack.model.AltUp;
import dev.knapsack.model.Block;
import dev.knapsack.model.Laurel;
import dev.knapsack.model.Nonlinearity;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Parallel;
import dev.knapsack.model.Scale;
import dev.knapsack.model.WeightLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Gemma 3n: what Gemma 4 has, with a residual stream of several copies, a low-rank layer beside
 * attention, and few gates that count in the first layers.
 */
final class Gemma3n extends Gemma4 {
  private static final int MOST_COPIES = 64;

  private AltUp copies(Header header) {
    int copies = header.optionalCount("altup.num_inputs");
    if (copies < 2 || copies > MOST_COPIES) {
      throw header.wrong(
          "altup.num_inputs", "must be between 2 and %d, and is %d".formatted(MOST_COPIES, copies));
    }
    if (header.optionalCount("altup.active_idx") != 0) {
      throw header.wrong("altup.active_idx", "must be 0: layers compute with the first copy");
    }
    return AltUp.spread(header.width(), copies);
  }

  @Override
  List<Block> opening(Header header) {
    List<Block> opening = new ArrayList<>(super.opening(header));
    opening.add(copies(header));
    return opening;
  }

  @Override
  List<Block> closing(Header header) {
    return List.of(copies(header).with(AltUp.Part.MERGE, null));
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    float deviations = header.layerNumber("activation_sparsity_scale", layer);
    return deviations == 0
        ? super.nonlinearity(header, layer)
        : new Nonlinearity.CutOff(activation(), deviations);
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return new Norms(null, AFTER_ATTENTION);
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    int width = header.width();
    int rank = header.rows(WeightLayout.name(layer, Laurel.LEFT + ".weight"));
    return List.of(
        copies(header).with(AltUp.Part.PREDICT, null),
        new Parallel(
            BEFORE_MIXER,
            width,
            List.of(attention(header, layer, context), new Laurel(width, rank))),
        new Scale(width, (float) Math.sqrt(0.5), null),
        feedForward(header, layer),
        copies(header).with(AltUp.Part.CORRECT, input(header)));
  }
}
