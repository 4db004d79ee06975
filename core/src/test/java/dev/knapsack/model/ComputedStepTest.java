package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.QueryFrame;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a policy sees of a step is what the step computes with. */
class ComputedStepTest {
  private static final int TOKENS = 23;

  /** Looks at everything, and compares it with its definition. */
  private static final class Looker implements KvPolicy, StepObserver {
    final AtomicInteger rows = new AtomicInteger();
    final AtomicInteger norms = new AtomicInteger();
    @Nullable Rig rig;

    @Override
    public String name() {
      return "looker";
    }

    @Override
    public StepObserver observer() {
      return this;
    }

    @Override
    public void compress(KvCache cache) {}

    @Override
    public boolean looks(int layer) {
      return true;
    }

    @Override
    public boolean looks(KvCache cache, int layer, int rows) {
      return cache.length() != 7;
    }

    @Override
    public boolean wantsOutputNorms(int layer) {
      return layer > 0;
    }

    @Override
    public void observe(CachedHead head, LayerStep step) {
      Attention.Weights weights = attention(Objects.requireNonNull(rig), head.layer());
      Attention layer = weights.spec();
      int kv = head.kvHead();
      int group = head.heads().group();
      float[] queries = new float[group * head.keySize()];
      float[] unrotated = new float[group * head.heads().channels()];
      float[] key = new float[head.keySize()];
      float[] back = new float[head.heads().channels()];
      for (int row = 0; row < step.rows(); row++) {
        rows.incrementAndGet();
        assertThat(step.position(row)).isEqualTo(head.cache().length() + row);
        step.queries(row, kv, queries);
        step.unrotatedQueries(row, kv, unrotated);
        QueryFrame.Backwards there = step.frame().from(step.position(row), 1);
        for (int i = 0; i < head.count(); i++) {
          head.key(i, key);
          there.turn(kv, key, back);
          for (int g = 0; g < group; g++) {
            assertThat(product(unrotated, g, back)).isEqualTo(product(queries, g, key), CLOSE);
          }
        }
        if (weights.queryNorm() == null) {
          double[] expected =
              project(weights.query(), step.input(), row, kv * unrotated.length, unrotated.length);
          for (int i = 0; i < expected.length; i++) {
            assertThat((double) unrotated[i]).isEqualTo(expected[i], within(1e-4));
          }
        }
        if (head.layer() > 0) {
          norm(layer, weights, head, step, row);
        }
      }
      assertThat(step.frame().scale()).isEqualTo(layer.scale());
      average(head, step.frame());
    }

    private static void average(CachedHead head, QueryFrame frame) {
      float[] key = new float[head.keySize()];
      float[] mean = new float[head.heads().channels()];
      float[] sum = new float[mean.length];
      float[] one = new float[mean.length];
      for (int i = 0; i < head.count(); i++) {
        head.key(i, key);
        frame.from(50, 4).turn(head.kvHead(), key, mean);
        Arrays.fill(sum, 0);
        for (int p = 50; p < 54; p++) {
          frame.from(p, 1).turn(head.kvHead(), key, one);
          for (int c = 0; c < one.length; c++) {
            sum[c] += one[c] / 4;
          }
        }
        assertThat(mean).containsExactly(sum, within(1e-4f));
      }
    }

    private void norm(
        Attention layer, Attention.Weights weights, CachedHead head, LayerStep step, int row) {
      norms.incrementAndGet();
      int size = layer.valueSize();
      double[] value = project(weights.value(), step.input(), row, head.kvHead() * size, size);
      float[] output = decoded(weights.output().matrix());
      int group = layer.heads() / layer.kvHeads();
      double norm = 0;
      for (int g = 0; g < group; g++) {
        for (int out = 0; out < rig.spec.width(); out++) {
          double sum = 0;
          int at = out * layer.attendedColumns() + (head.kvHead() * group + g) * size;
          for (int c = 0; c < size; c++) {
            sum += output[at + c] * value[c];
          }
          norm += Math.abs(sum) / group;
        }
      }
      assertThat((double) step.outputNorm(row, head.kvHead())).isEqualTo(norm, within(norm / 1e5));
    }

    private double[] project(Linear linear, Matrix input, int row, int first, int count) {
      Matrix matrix = linear.matrix();
      float[] bias =
          linear.bias() == null ? null : linear.bias().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      float[] numbers = decoded(matrix);
      float[] x = Rig.floats(input.rows(row, row + 1));
      double[] out = new double[count];
      for (int i = 0; i < count; i++) {
        out[i] = bias == null ? 0 : bias[first + i];
        for (int c = 0; c < x.length; c++) {
          out[i] += numbers[(first + i) * x.length + c] * (double) x[c];
        }
      }
      return out;
    }

    private float[] decoded(Matrix matrix) {
      float[] numbers = new float[matrix.rows() * matrix.columns()];
      for (int row = 0; row < matrix.rows(); row++) {
        matrix.decodeRow(row, MemorySegment.ofArray(numbers), 4L * row * matrix.columns());
      }
      return numbers;
    }

    private static double product(float[] heads, int head, float[] key) {
      double sum = 0;
      for (int c = 0; c < key.length; c++) {
        sum += (double) heads[head * key.length + c] * key[c];
      }
      return sum;
    }
  }

  private static Attention.Weights attention(Rig rig, int layer) {
    return (Attention.Weights) rig.weights.layer(layer).blocks().getFirst();
  }

  private static final Offset<Double> CLOSE = within(1e-3);

  @ParameterizedTest
  @EnumSource
  void showsWhatAttentionComputesWith(NaiveModels model) {
    NaiveModel naive = model.make();
    for (KvTransform transform : KvTransform.values()) {
      for (int sketch : List.of(0, 2)) {
        Looker looker = new Looker();
        Rig.Parts parts = Rig.Parts.USUAL.with(transform).sketch(sketch).workers(1 + sketch);
        int[] tokens = Rig.tokens(TOKENS, 40, 3);
        float[] plain;
        try (Rig rig = new Rig(naive.model, parts)) {
          plain = rig.logits(tokens, 7);
        }
        try (Rig rig = new Rig(naive.model, parts, looker)) {
          looker.rig = rig;
          assertThat(rig.logits(tokens, 7)).as("looking changes nothing").isEqualTo(plain);
          int seen =
              rig.spec.layers().stream()
                  .map(LayerSpec::fullAttention)
                  .filter(Objects::nonNull)
                  .mapToInt(Attention::kvHeads)
                  .sum();
          assertThat(looker.rows.get()).isEqualTo(seen * (TOKENS - 7));
          if (seen > 0) {
            assertThat(looker.norms.get()).isPositive();
          }
        }
      }
    }
  }
}
