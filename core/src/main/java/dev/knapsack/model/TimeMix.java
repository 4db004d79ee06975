package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The attention of RWKV 7 (Peng et al., arXiv 2503.14456). Each head has a state S, from keys to
 * values, that becomes {@code S · diag(w) − (S κ) (κ · a)ᵀ + v kᵀ}, where w says what is kept, κ,
 * of length 1, which key is forgotten, and a how much of it; the head's result is {@code S r}. All
 * of these are projections of a row somewhere {@linkplain TokenShift between} a token and the one
 * before. Layers after the first take some of the first one's values in place of their own.
 *
 * @param headSize numbers in a head's r, k and v
 * @param ranks of the projections that go through few numbers
 */
public record TimeMix(Norms norms, int width, int headSize, Ranks ranks) implements Block {
  /**
   * The numbers that low-rank projections go through.
   *
   * @param decay of w
   * @param rate of a
   * @param value of the share of the first layer's values; 0 in the first layer
   * @param gate of the gate on results; 0 where there is none
   */
  public record Ranks(int decay, int rate, int value, int gate) {
    int most() {
      return Math.max(Math.max(decay, rate), Math.max(value, gate));
    }
  }

  private static final String SHARES = "time_mix_lerp_fused.weight";
  private static final String KEY_SCALE = "time_mix_k_k.weight";
  private static final String RATE_SHARE = "time_mix_k_a.weight";
  private static final String BONUS = "time_mix_r_k.weight";
  private static final String NORM = "time_mix_ln.weight";
  private static final String NORM_BIAS = "time_mix_ln.bias";

  /** A projection through few numbers, and what is added to its result; null for nothing. */
  record LowRank(Linear down, Linear up, @Nullable Matrix bias) {}

  /**
   * The tensors that it computes with.
   *
   * @param shares how far back each projection reads, a row each: of r, w, k, v, a, and of the gate
   * @param value null in the first layer
   * @param gate null for none
   * @param keyScale what k is multiplied with to be κ, before that is made of length 1
   * @param rateShare how much of k is multiplied with a
   * @param bonus what r · k is multiplied with, by which v is added to the result
   * @param norm of each head; null for none
   */
  public record Weights(
      TimeMix spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Matrix shares,
      Linear receptance,
      Linear key,
      Linear values,
      LowRank decay,
      LowRank rate,
      @Nullable LowRank value,
      @Nullable LowRank gate,
      Matrix keyScale,
      Matrix rateShare,
      Matrix bonus,
      @Nullable Matrix norm,
      @Nullable Matrix normBias,
      Linear output)
      implements Block.Addend {}

  int heads() {
    return width / headSize;
  }

  private Projection matrix(String name) {
    return new Projection("time_mix_" + name, width, width);
  }

  private void addLowRank(String name, int rank, List<TensorSpec> tensors) {
    if (rank > 0) {
      tensors.addAll(down(name, rank).tensors());
      tensors.addAll(up(name, rank).tensors());
    }
  }

  private Projection down(String name, int rank) {
    return new Projection("time_mix_" + name + "1", width, rank);
  }

  private Projection up(String name, int rank) {
    return new Projection("time_mix_" + name + "2", rank, width);
  }

  private static String bias(String name) {
    return "time_mix_" + name + "0.weight";
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(bias("w"), Role.BIAS, width));
    addLowRank("w", ranks.decay, tensors);
    tensors.add(new TensorSpec(bias("a"), Role.BIAS, width));
    addLowRank("a", ranks.rate, tensors);
    if (ranks.value > 0) {
      tensors.add(new TensorSpec(bias("v"), Role.BIAS, width));
    }
    addLowRank("v", ranks.value, tensors);
    addLowRank("g", ranks.gate, tensors);
    tensors.add(new TensorSpec(SHARES, Role.NUMBERS, width, 1, 1, ranks.gate > 0 ? 6 : 5));
    tensors.add(new TensorSpec(KEY_SCALE, Role.NUMBERS, width));
    tensors.add(new TensorSpec(RATE_SHARE, Role.NUMBERS, width));
    tensors.add(new TensorSpec(BONUS, Role.NUMBERS, width));
    for (String name : List.of("key", "value", "receptance")) {
      tensors.addAll(matrix(name).tensors());
    }
    tensors.add(new TensorSpec(NORM, Role.NORM, width).orNone());
    tensors.add(new TensorSpec(NORM_BIAS, Role.BIAS, width).orNone());
    tensors.addAll(matrix("output").tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        tensors.get(SHARES),
        matrix("receptance").in(tensors),
        matrix("key").in(tensors),
        matrix("value").in(tensors),
        lowRank("w", ranks.decay, tensors),
        lowRank("a", ranks.rate, tensors),
        ranks.value == 0 ? null : lowRank("v", ranks.value, tensors),
        ranks.gate == 0 ? null : lowRank("g", ranks.gate, tensors),
        tensors.get(KEY_SCALE),
        tensors.get(RATE_SHARE),
        tensors.get(BONUS),
        tensors.find(NORM),
        tensors.find(NORM_BIAS),
        matrix("output").in(tensors));
  }

  private LowRank lowRank(String name, int rank, LayerTensors tensors) {
    return new LowRank(
        down(name, rank).in(tensors), up(name, rank).in(tensors), tensors.find(bias(name)));
  }

  @Override
  public int widest() {
    return Math.max(width, ranks.most());
  }

  private long stateBytes() {
    return TokenShift.bytes(width) + (long) Float.BYTES * width * headSize;
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    for (Slot slot :
        List.of(
            Slot.BACK,
            Slot.MIXED,
            Slot.QUERY,
            Slot.KEY,
            Slot.VALUE,
            Slot.STEP,
            Slot.RATE,
            Slot.SHARE,
            Slot.GATE,
            Slot.SCANNED)) {
      numbers.put(slot, (long) tokens * width);
    }
    numbers.put(Slot.LOW_RANK, (long) tokens * ranks.most());
    return numbers;
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return Map.of(Slot.FIRST_VALUE, width);
  }

  /** The state, which is read and written; and for each number of it, four sums and a decay. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * stateBytes(), 5.0 * tokens * width * headSize);
  }
}
