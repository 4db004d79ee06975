package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Attention to what fades and to what is kept as it was: B'MOJO (Zancato et al., arXiv 2407.06324).
 * A state space makes of the tokens x the fading memory y. The token at t attends, in one softmax,
 * to the last {@code window} tokens; before these, from {@code t − window} back, to {@code faded}
 * rows of y; and to at most {@code kept} tokens before the window, the eidetic memory. Those are
 * the ones with the largest innovation {@code |y[t] − Σ p[i] · y[t − i]|²}, which says how far the
 * state's output was from what those before it predict; of equal ones the earlier. Keys and values
 * of x and of y have the same projections, and are rotated as their positions are.
 *
 * <p>All of it is a state of fixed size: no page holds a token.
 *
 * @param fading the state space, which has no norms of its own
 * @param taps rows of y that the next is predicted from
 * @param rope null for none
 */
public record EideticAttention(
    Norms norms,
    SelectiveScan fading,
    int heads,
    int kvHeads,
    int headSize,
    int window,
    int faded,
    int kept,
    int taps,
    @Nullable Rope rope)
    implements Block {
  private static final String PREDICTOR = "innovation.weight";

  /**
   * The tensors that it computes with.
   *
   * @param state what it remembers beside the state space
   * @param predictor null where no token is kept
   */
  public record Weights(
      EideticAttention spec,
      Recurrence.Place state,
      Norms.Weights norms,
      SelectiveScan.Weights fading,
      @Nullable Convolution predictor,
      Linear query,
      Linear key,
      Linear value,
      Linear output)
      implements Block.Addend {}

  @Override
  public int width() {
    return fading.width();
  }

  /** Numbers in a token's queries, all heads. */
  int columns() {
    return heads * headSize;
  }

  /** Numbers in a token's keys, or values, all heads. */
  int kvColumns() {
    return kvHeads * headSize;
  }

  /** The most rows that a token attends to. */
  int attended() {
    return faded + kept + window;
  }

  /** Rows of x that are carried: those that are kept, and as many as the window has. */
  int carriedTokens() {
    return kept + window;
  }

  /** Rows of y that are carried. */
  int carriedFading() {
    return window + faded - 1;
  }

  /** The place, among the numbers that are carried, of the row that was predicted. */
  int prediction() {
    return kept == 0 ? 0 : Convolution.carried(taps, width());
  }

  /** That of innovations of the rows of x that are carried. */
  int innovations() {
    return kept == 0 ? 0 : prediction() + width();
  }

  /** That of keys and values that are carried, head by head: those of x, and those of y. */
  int rows(int kvHead) {
    int first = kept == 0 ? 0 : innovations() + carriedTokens();
    return first + kvHead * (carriedTokens() + carriedFading()) * 2 * headSize;
  }

  private List<Projection> inputs() {
    return List.of(
        new Projection("attn_q", width(), columns()),
        new Projection("attn_k", width(), kvColumns()),
        new Projection("attn_v", width(), kvColumns()));
  }

  private Projection output() {
    return new Projection("attn_output", columns(), width());
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(fading.tensors());
    if (kept > 0) {
      tensors.add(new TensorSpec(PREDICTOR, Role.NUMBERS, taps, width()));
    }
    tensors.addAll(Projection.tensors(inputs()));
    tensors.addAll(output().tensors());
    return norms.around(width(), tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Recurrence.Place place = tensors.state(this);
    Matrix predictor = tensors.find(PREDICTOR);
    List<Linear> inputs = inputs().stream().map(input -> input.in(tensors)).toList();
    return new Weights(
        this,
        place.part(fading.stateBytes(), ownBytes()),
        norms.in(tensors),
        fading.weights(tensors, place.part(0, fading.stateBytes())),
        kept == 0 || predictor == null ? null : new Convolution(predictor, null, false, 0),
        inputs.get(0),
        inputs.get(1),
        inputs.get(2),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return Math.max(fading.widest(), Math.max(width(), columns()));
  }

  private long ownBytes() {
    return (long) Float.BYTES * rows(kvHeads);
  }

  private long stateBytes() {
    return fading.stateBytes() + ownBytes();
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(fading.activations(tokens, cache, layer));
    numbers.put(Slot.FADING, (long) tokens * width());
    numbers.merge(Slot.CONVOLVED, (long) tokens * width(), Math::max);
    numbers.put(Slot.INNOVATION, (long) tokens);
    numbers.put(Slot.QUERY, (long) tokens * columns());
    numbers.put(Slot.ATTENDED, (long) tokens * columns());
    for (Slot slot : List.of(Slot.KEY, Slot.VALUE)) {
      numbers.put(slot, 2L * tokens * kvColumns());
    }
    return numbers;
  }

  /**
   * The states, which are read and written; and for each row, products with queries and weights.
   */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return fading
        .work(format, policy, tokens, past)
        .plus(new Work(2.0 * ownBytes(), 2.0 * tokens * attended() * columns()));
  }
}
