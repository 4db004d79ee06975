package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import java.util.List;
import java.util.OptionalDouble;

/**
 * The attention of a model's heads and layers, measured once along prompts that ask for something
 * said before: recipes that treat heads or layers differently go by it.
 *
 * @param model what tells the model's weights from others
 * @param prompts prompts that were read
 * @param right how many of them were answered rightly; only those tell what heads {@linkplain
 *     Head#needle retrieve}
 * @param layers one entry a layer
 */
public record Calibration(String model, int prompts, int right, List<Layer> layers) {
  /** First tokens that heads fall back on, and that count for no place of their own. */
  public static final int SINKS = 4;

  /** The last tokens are near: such a part of the prompt, as a divisor. */
  public static final int NEAR = 16;

  /** The file that holds it. */
  public static final Companion<Calibration> FILE =
      new Companion<>("kv.json", "'knapsack calibrate MODEL' writes it", Calibration.class);

  public Calibration {
    layers = List.copyOf(layers);
    if (prompts < 1 || right < 0 || right > prompts) {
      throw new IllegalArgumentException(
          "Of %d prompts %d cannot have been answered rightly".formatted(prompts, right));
    }
  }

  /**
   * The figures of one layer.
   *
   * @param spread the entropy of its attention, of the most that there can be: 0 looks at one
   *     token, 1 at all alike
   * @param error by how much of its length attention's result differs when the layer keeps an
   *     eighth of the prompt
   * @param similarity the mean cosine of its keys and those that it has when earlier tokens are
   *     forgotten block by block; empty if that was not measured
   * @param heads its query heads; none in a layer with a sliding window
   */
  public record Layer(double spread, double error, OptionalDouble similarity, List<Head> heads) {
    public Layer {
      heads = List.copyOf(heads);
      share("spread", spread);
      if (similarity.isPresent() && !(Math.abs(similarity.getAsDouble()) <= 1)) {
        throw new IllegalArgumentException(
            "similarity is -1 to 1, not " + similarity.getAsDouble());
      }
      if (!(error >= 0 && error < Double.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException("error is 0 or more, not " + error);
      }
    }

    /** A layer whose keys were not compared. */
    public Layer(double spread, double error, List<Head> heads) {
      this(spread, error, OptionalDouble.empty(), heads);
    }
  }

  /**
   * One query head: shares of its attention.
   *
   * @param near on the last tokens
   * @param far on tokens that are neither near nor among the first
   * @param needle on the tokens of the answer in the prompt, while the answer is written
   */
  public record Head(double near, double far, double needle) {
    public Head {
      share("near", near);
      share("far", far);
      share("needle", needle);
    }
  }

  private static void share(String name, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new IllegalArgumentException(name + " is 0 to 1, not " + value);
    }
  }
}
