package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.kernel.Compute;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A weighted average of what earlier blocks gave, which the next block gets in place of the last
 * one's result (MambaMixer; Behrouz et al., arXiv 2403.19888, section 3.2, "Weighted Averaging of
 * Earlier Features"). Mixers of tokens and of channels take turns, and the embedding counts as the
 * result of one of each; both kinds have weights of their own in each average.
 *
 * @param index averages before this one: as many results, and the embedding, are there
 * @param count averages of the model
 */
public record EarlierOutputs(int width, int index, int count) implements Block {
  /**
   * The weights of results, the embedding's first.
   *
   * @param tokens of mixers of tokens
   * @param channels of mixers of channels
   */
  public record Weights(EarlierOutputs spec, Matrix tokens, Matrix channels)
      implements Block.Change {
    /** Nanoseconds of one core, roughly, for a number that is multiplied and added. */
    private static final double PASS = 1;

    /** Keeps the last result, and puts the average in its place. */
    void apply(Blocks blocks, Matrix hidden) {
      Compute compute = blocks.compute;
      int width = spec.width;
      Matrix earlier = blocks.matrix(Slot.EARLIER, hidden.rows(), spec.columns());
      float[] shares = shares();
      compute.rows(
          hidden.rows(),
          shares.length * width * PASS,
          (from, to) -> {
            float[] one = new float[width];
            float[] sum = new float[width];
            for (int row = from; row < to; row++) {
              hidden.read(row, 0, one);
              earlier.write(row, (long) spec.index * width, one);
              Arrays.fill(sum, 0);
              for (int output = 0; output < shares.length; output++) {
                earlier.read(row, (long) output * width, one);
                for (int i = 0; i < width; i++) {
                  sum[i] += shares[output] * one[i];
                }
              }
              hidden.write(row, 0, sum);
            }
          });
    }

    /** The weight of each result, in the order in which they came. */
    private float[] shares() {
      float[] ofTokens = new float[tokens.columns()];
      float[] ofChannels = new float[channels.columns()];
      tokens.read(0, 0, ofTokens);
      channels.read(0, 0, ofChannels);
      float[] shares = new float[spec.index + 1];
      shares[0] = ofTokens[0] + ofChannels[0];
      for (int output = 1; output < shares.length; output++) {
        shares[output] = output % 2 == 1 ? ofTokens[output / 2 + 1] : ofChannels[output / 2];
      }
      return shares;
    }
  }

  private boolean beforeTokens() {
    return index % 2 == 0;
  }

  /** α before a mixer of tokens, θ before one of channels. */
  private String ofTokens() {
    return beforeTokens() ? "earlier_alpha.weight" : "earlier_theta.weight";
  }

  /** β before a mixer of tokens, γ before one of channels. */
  private String ofChannels() {
    return beforeTokens() ? "earlier_beta.weight" : "earlier_gamma.weight";
  }

  private int columns() {
    return count * width;
  }

  @Override
  public List<TensorSpec> tensors() {
    return List.of(
        new TensorSpec(ofTokens(), Role.NUMBERS, (index + 1) / 2 + 1),
        new TensorSpec(ofChannels(), Role.NUMBERS, index / 2 + 1));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this, tensors.get(ofTokens()), tensors.get(ofChannels()));
  }

  @Override
  public int widest() {
    return 0;
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return Map.of(Slot.EARLIER, columns());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of();
  }

  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(0, (double) tokens * (index + 1) * width);
  }
}
