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
 * Linear attention by the gated delta rule (Yang, Kautz and Hatamizadeh, arXiv 2412.06464). A
 * token's queries, keys and values are convolved with those before; each head then has a state S,
 * of numbers in a key by numbers in a value, that decays, {@code S = e^(a · softplus(step)) S}, and
 * is corrected, {@code S += β k ⊗ (v − k S)}. The token's result is {@code norm(q S)}, gated and
 * projected. Queries and keys have the length 1, queries over the root of their numbers.
 *
 * @param keyHeads heads of queries and keys
 * @param heads of values, each with a state; several share queries and keys
 * @param keySize numbers in a query or key head
 * @param valueSize numbers in a value head
 * @param taps of the convolutions
 */
public record DeltaRule(
    Norms norms,
    int width,
    int keyHeads,
    int heads,
    int keySize,
    int valueSize,
    int taps,
    Form form)
    implements Block {
  /** The forms in which it is published. */
  public enum Form {
    /** A decay for each head; head h has the keys of h modulo their number. */
    TILED,
    /**
     * A decay for each head; neighbouring heads have the same keys. Steps and β are one product, in
     * which those of heads with the same keys lie together: first β.
     */
    GROUPED,
    /** The same; queries, keys, values and gates are one product too, and lie together likewise. */
    GROUPED_WHOLE,
    /**
     * A decay for each number of a key (Kimi Delta Attention, arXiv 2510.26692). Steps and gates
     * are products of two narrow matrices each, and gates a sigmoid.
     */
    BY_CHANNEL
  }

  private static final String TAPS = "ssm_conv1d";
  private static final String STEP_BIAS = "ssm_dt.bias";
  private static final String DECAY = "ssm_a";
  private static final String NORM = "ssm_norm.weight";

  /**
   * The tensors that it computes with.
   *
   * @param inputs the projections of a token, in the order in which they are declared
   * @param convolutions of queries, keys and values
   * @param decay the rate a of each head, below 0
   * @param headNorm factors for the numbers of a value head
   */
  public record Weights(
      DeltaRule spec,
      Recurrence.Place state,
      Norms.Weights norms,
      List<Linear> inputs,
      List<Convolution> convolutions,
      Matrix stepBias,
      Matrix decay,
      Matrix headNorm,
      Linear output)
      implements Block.Addend {}

  /** Numbers in a token's queries, or keys, all heads. */
  int keyColumns() {
    return keyHeads * keySize;
  }

  /** Numbers in a token's values, gates and results, all heads. */
  int valueColumns() {
    return heads * valueSize;
  }

  /** Numbers that say how a token's states decay, all heads. */
  int steps() {
    return form == Form.BY_CHANNEL ? heads * keySize : heads;
  }

  /** The head whose queries and keys a value head has. */
  int keyHead(int head) {
    return form == Form.TILED ? head % keyHeads : head / (heads / keyHeads);
  }

  /**
   * The projections of a token: queries, keys, values, gates, β and steps, as far as they are
   * apart; for a decay by channel, β after the values, and then the two of steps and those of
   * gates.
   */
  private List<Projection> inputs() {
    List<Projection> inputs = new ArrayList<>();
    if (form == Form.GROUPED_WHOLE) {
      inputs.add(new Projection("ssm_in", width, 2 * (keyColumns() + valueColumns())));
    } else {
      inputs.add(new Projection("attn_q", width, keyColumns(), "attn_qkv"));
      inputs.add(new Projection("attn_k", width, keyColumns(), "attn_qkv"));
      inputs.add(new Projection("attn_v", width, valueColumns(), "attn_qkv"));
    }
    if (form == Form.TILED || form == Form.GROUPED) {
      inputs.add(new Projection("attn_gate", width, valueColumns()));
    }
    if (form == Form.GROUPED || form == Form.GROUPED_WHOLE) {
      inputs.add(new Projection("ssm_ba", width, 2 * heads));
    } else {
      inputs.add(new Projection("ssm_beta", width, heads));
    }
    if (form == Form.TILED) {
      inputs.add(new Projection("ssm_alpha", width, heads));
    }
    if (form == Form.BY_CHANNEL) {
      inputs.add(new Projection("ssm_f_a", width, keySize));
      inputs.add(new Projection("ssm_f_b", keySize, steps()));
      inputs.add(new Projection("ssm_g_a", width, keySize));
      inputs.add(new Projection("ssm_g_b", keySize, valueColumns()));
    }
    return inputs;
  }

  private Projection output() {
    return new Projection(
        form == Form.BY_CHANNEL ? "attn_output" : "ssm_out", valueColumns(), width);
  }

  /** The taps of queries, keys and values, which may be one tensor. */
  private List<TensorSpec> convolvedBy() {
    List<TensorSpec> all = new ArrayList<>();
    for (String part : List.of("_q", "_k", "_v")) {
      int channels = part.equals("_v") ? valueColumns() : keyColumns();
      all.add(
          new TensorSpec(TAPS + part + ".weight", Role.NUMBERS, taps, channels)
              .in(TAPS + ".weight"));
    }
    return all;
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(Projection.tensors(inputs()));
    tensors.addAll(afterInputs());
    return norms.around(width, tensors);
  }

  /** Its tensors but for the projections of a token and norms. */
  List<TensorSpec> afterInputs() {
    List<TensorSpec> tensors = convolvedBy();
    tensors.add(new TensorSpec(STEP_BIAS, Role.BIAS, steps()));
    tensors.add(
        form == Form.BY_CHANNEL
            ? new TensorSpec(DECAY, Role.DECAY, 1, heads)
            : new TensorSpec(DECAY, Role.DECAY, heads));
    tensors.add(new TensorSpec(NORM, Role.NORM, valueSize));
    tensors.addAll(output().tensors());
    return tensors;
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    List<Projection> inputs = inputs();
    int apart = form == Form.GROUPED_WHOLE ? 1 : 3;
    List<Linear> maps = new ArrayList<>(Projection.in(tensors, inputs.subList(0, apart)));
    for (Projection input : inputs.subList(apart, inputs.size())) {
      maps.add(input.in(tensors));
    }
    return weights(tensors, tensors.state(this), maps);
  }

  /** The same with this state and these projections of a token. */
  Weights weights(LayerTensors tensors, Recurrence.Place state, List<Linear> inputs) {
    return new Weights(
        this,
        state,
        norms.in(tensors),
        inputs,
        convolutions(tensors),
        tensors.get(STEP_BIAS),
        tensors.get(DECAY),
        tensors.get(NORM),
        output().in(tensors));
  }

  private List<Convolution> convolutions(LayerTensors tensors) {
    Matrix whole = tensors.find(TAPS + ".weight");
    List<Convolution> all = new ArrayList<>();
    int row = 0;
    for (TensorSpec part : convolvedBy()) {
      int channels = Math.toIntExact(part.shape().getLast());
      Matrix own = whole == null ? tensors.get(part.name()) : whole.rows(row, row + channels);
      all.add(new Convolution(own, null, true, Convolution.carried(taps, row)));
      row += channels;
    }
    return all;
  }

  @Override
  public int widest() {
    return Math.max(valueColumns(), keySize);
  }

  /** Numbers that the convolutions carry; the states of the heads follow. */
  int convolved() {
    return Convolution.carried(taps, 2 * keyColumns() + valueColumns());
  }

  long stateBytes() {
    return Float.BYTES * (convolved() + (long) valueColumns() * keySize);
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.QUERY, (long) tokens * keyColumns());
    numbers.put(Slot.KEY, (long) tokens * keyColumns());
    numbers.put(Slot.VALUE, (long) tokens * valueColumns());
    numbers.put(Slot.GATE, (long) tokens * valueColumns());
    numbers.put(Slot.STRENGTH, (long) tokens * heads);
    numbers.put(Slot.STEP, (long) tokens * steps());
    numbers.put(Slot.SCANNED, (long) tokens * valueColumns());
    if (form != Form.TILED) {
      numbers.put(Slot.MIXED, (long) tokens * mixedColumns());
    }
    return numbers;
  }

  /** Numbers of the widest product that is taken apart, or multiplied again. */
  private int mixedColumns() {
    return switch (form) {
      case TILED -> 0;
      case GROUPED -> 2 * heads;
      case GROUPED_WHOLE -> 2 * (keyColumns() + valueColumns());
      case BY_CHANNEL -> keySize;
    };
  }

  /**
   * The state, which is read and written; and for each number of it, a decay, a product with the
   * key, a correction and a result.
   */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    double channels = 2.0 * keyColumns() + valueColumns();
    return new Work(
        2.0 * stateBytes(), tokens * (4.0 * valueColumns() * keySize + taps * channels));
  }
}
