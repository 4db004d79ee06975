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
 * A memory of n-grams (Engram, arXiv 2601.07372, section 2): {@code e} is a token's rows, which
 * {@link NgramHash} finds, side by side; {@code α = σ(norm(h) · norm(key(e)) / √width)}, {@code v =
 * α value(e)}, and what is added is {@code v + silu(convolve(norm(v)))}.
 *
 * @param norms before: of what is the query
 * @param size numbers in a row
 * @param taps of the convolution
 * @param dilation rows from one that a tap meets to the next
 */
public record NgramMemory(Norms norms, int width, NgramHash hash, int size, int taps, int dilation)
    implements Block {
  private static final String TABLE = "ngram_embd.weight";
  private static final String KEY_NORM = "ngram_k_norm.weight";
  private static final String CONVOLUTION_NORM = "ngram_conv_norm.weight";
  private static final String TAPS = "ngram_conv.weight";

  /**
   * The tensors that it computes with.
   *
   * @param table the name of the table, of which rows are read
   */
  public record Weights(
      NgramMemory spec,
      Recurrence.Place state,
      Norms.Weights norms,
      String table,
      Linear key,
      Linear value,
      Matrix keyNorm,
      Matrix convolutionNorm,
      Convolution convolution)
      implements Block.Addend {}

  /** Numbers in all rows of a token. */
  int columns() {
    return hash.heads() * size;
  }

  /** Numbers that the convolution carries: after them in the state are the last tokens. */
  int carried() {
    return Convolution.carried(Convolution.reach(taps, dilation), width);
  }

  private List<Projection> projections() {
    return List.of(
        new Projection("ngram_k", columns(), width), new Projection("ngram_v", columns(), width));
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(
        new TensorSpec(TABLE, Role.EMBEDDING, size, hash.tableRows()).reading(hash.heads()));
    tensors.addAll(Projection.tensors(projections()));
    tensors.add(new TensorSpec(KEY_NORM, Role.NORM, width));
    tensors.add(new TensorSpec(CONVOLUTION_NORM, Role.NORM, width));
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, width));
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        WeightLayout.name(tensors.layer(), TABLE),
        projections().getFirst().in(tensors),
        projections().getLast().in(tensors),
        tensors.get(KEY_NORM),
        tensors.get(CONVOLUTION_NORM),
        new Convolution(tensors.get(TAPS), null, true, dilation, 0));
  }

  @Override
  public int widest() {
    return Math.max(width, columns());
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent((long) Float.BYTES * (carried() + hash.order() - 1), true);
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.GATHERED, (long) tokens * columns());
    for (Slot slot : List.of(Slot.KEY, Slot.VALUE, Slot.MIXED)) {
      numbers.put(slot, (long) tokens * width);
    }
    return numbers;
  }

  /** The state, which is read and written. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * remembers().stateBytes(), (double) tokens * (taps + 2) * width);
  }
}
