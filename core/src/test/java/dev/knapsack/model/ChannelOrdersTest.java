package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Rope;
import dev.knapsack.tensor.ChannelOrder;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ChannelOrdersTest {
  /** Models with two matrices or one, biases, norms of heads, and rotary pairs of either kind. */
  @ParameterizedTest
  @EnumSource
  void channelsAreInTheOrderOfWhatWeightsMakeOfNormedInputs(NaiveModels made) {
    FixtureModel model = made.make().model;
    try (Rig rig = new Rig(model, Rig.Parts.USUAL.with(KvTransform.REORDERED).workers(2))) {
      ChannelOrders orders = rig.workspace.orders();
      for (int l = 0; l < 3; l++) {
        Attention.Weights weights = (Attention.Weights) rig.weights.layer(l).blocks().getFirst();
        Attention layer = weights.spec();
        ChannelOrder keys = orders.keys(weights, rig.compute);
        ChannelOrder values = orders.values(weights, rig.compute);
        assertThat(orders.keys(weights, rig.compute)).isSameAs(keys);
        assertThat(orders.values(weights, rig.compute)).isSameAs(values);
        int from = layer.queryColumns();
        double[] keySizes = sizes(model, l, "attn_k", from, layer.keyColumns());
        from += layer.keyColumns();
        double[] valueSizes = sizes(model, l, "attn_v", from, layer.valueColumns());
        descends(valueSizes, values);
        float[] norm = model.numbers.get("blk." + l + ".attn_k_norm.weight");
        boolean normsRotated = layer.headNorms() == HeadNorms.EACH_ROTATED;
        double[] sizesOfKeys = normsRotated ? paired(keySizes, layer) : keySizes;
        for (int i = 0; norm != null && i < sizesOfKeys.length; i++) {
          sizesOfKeys[i] *= norm[i % norm.length] * norm[i % norm.length];
        }
        boolean pairs = layer.rope() != null && !normsRotated;
        descends(pairs ? paired(sizesOfKeys, layer) : sizesOfKeys, keys);
      }
    }
  }

  @Test
  void headsMayHaveFactorsOfTheirOwn() {
    try (ModelFile file = ModelFile.open(TestData.path("golden/plamo2/model.gguf"));
        Rig rig = new Rig(file, Rig.Parts.USUAL.with(KvTransform.REORDERED))) {
      Attention.Weights weights = (Attention.Weights) rig.weights.layer(1).blocks().getFirst();
      Matrix key = weights.key().matrix();
      float[] numbers = Rig.floats(key);
      float[] norm = Rig.floats(weights.norms().before().factors());
      float[] factors = Rig.floats(weights.keyNorm().factors());
      double[] sizes = new double[key.rows()];
      for (int row = 0; row < sizes.length; row++) {
        for (int i = 0; i < norm.length; i++) {
          sizes[row] += Math.pow(numbers[row * norm.length + i] * norm[i], 2);
        }
        sizes[row] *= factors[row] * factors[row];
      }
      descends(paired(sizes, weights.spec()), rig.workspace.orders().keys(weights, rig.compute));
    }
  }

  private static double[] sizes(FixtureModel model, int layer, String name, int from, int rows) {
    String p = "blk." + layer + ".";
    boolean fused = model.numbers.containsKey(p + "attn_qkv.weight");
    float[] weights = model.numbers.get(p + (fused ? "attn_qkv" : name) + ".weight");
    float[] bias = model.numbers.get(p + (fused ? "attn_qkv" : name) + ".bias");
    boolean normed = model.infos.containsKey(p + "attn_norm.weight");
    float[] norm = model.numbers.get(p + "attn_norm.weight");
    int first = fused ? from : 0;
    double[] sizes = new double[rows];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < norm.length; i++) {
        double factor = normed ? norm[i] : 1;
        sizes[row] += Math.pow(weights[(first + row) * norm.length + i] * factor, 2);
      }
      sizes[row] += bias == null ? 0 : Math.pow(bias[first + row], 2);
    }
    return sizes;
  }

  /** Both of a pair have their mean, and so stay side by side. */
  private static double[] paired(double[] sizes, Attention layer) {
    Rope rope = layer.rope();
    double[] paired = new double[sizes.length];
    for (int i = 0; i < sizes.length; i++) {
      int channel = i % layer.keySize();
      paired[i] = (sizes[i] + sizes[i - channel + rope.partner(channel)]) / 2;
    }
    return paired;
  }

  private static void descends(double[] sizes, ChannelOrder order) {
    int[] channels = order.channels();
    assertThat(channels).hasSize(sizes.length);
    int size = order.headSize();
    for (int head = 0; head < channels.length; head += size) {
      int[] sorted = Arrays.copyOfRange(channels, head, head + size);
      for (int i = 1; i < size; i++) {
        assertThat(sizes[head + sorted[i]])
            .isLessThanOrEqualTo(sizes[head + sorted[i - 1]] * (1 + 1e-9));
      }
      Arrays.sort(sorted);
      for (int i = 0; i < size; i++) {
        assertThat(sorted[i]).isEqualTo(i);
      }
    }
  }
}
