package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Linear attention with several memories, of which a token uses some: MoM (Du et al., arXiv
 * 2502.13685). A router's softmax over all memories chooses {@code used} of them; each is a state
 * of the gated {@link DeltaRule} with keys, values, steps and β of projections of its own, and is
 * written and read by the tokens alone that chose it, in their order. What is read, {@code q S}, is
 * summed by the router's weights, which are divided by their sum, and what is read of the shared
 * memory, which all tokens write, is added. Queries, convolutions, decays, gate and output are
 * those of all memories.
 *
 * @param memory the shape of each, with a key head for each value head and the form {@link
 *     DeltaRule.Form#TILED}; its norms are those around all
 * @param count memories that the router chooses from
 * @param used those of them that a token uses
 * @param shared whether there is one more, for every token
 */
public record MixtureOfMemories(DeltaRule memory, int count, int used, boolean shared)
    implements Block {
  private static final String ROUTER = "memory_router.weight";

  /** The choice of memories. */
  static final Gating GATING = new Gating(Gating.Function.SOFTMAX, true, 1);

  /**
   * The tensors that it computes with.
   *
   * @param memories of each memory, the shared one last; their own projections are those of keys,
   *     values, β and steps
   */
  public record Weights(
      MixtureOfMemories spec,
      Norms.Weights norms,
      Linear router,
      Linear query,
      Linear gate,
      List<DeltaRule.Weights> memories)
      implements Block.Addend {
    public Weights {
      memories = List.copyOf(memories);
    }
  }

  @Override
  public Norms norms() {
    return memory.norms();
  }

  @Override
  public int width() {
    return memory.width();
  }

  /** Memories, with the shared one. */
  int memories() {
    return shared ? count + 1 : count;
  }

  private Projection query() {
    return new Projection("attn_q", width(), memory.keyColumns());
  }

  private Projection gate() {
    return new Projection("attn_gate", width(), memory.valueColumns());
  }

  /** Projections to keys, values, β and steps: those of all memories, one after the other. */
  private List<Projection> ofMemories() {
    return List.of(
        new Projection("attn_k", width(), memories() * memory.keyColumns()),
        new Projection("attn_v", width(), memories() * memory.valueColumns()),
        new Projection("ssm_beta", width(), memories() * memory.heads()),
        new Projection("ssm_alpha", width(), memories() * memory.heads()));
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(ROUTER, Role.ROUTER, width(), count));
    tensors.addAll(query().tensors());
    tensors.addAll(Projection.tensors(ofMemories()));
    tensors.addAll(gate().tensors());
    tensors.addAll(memory.afterInputs());
    return norms().around(width(), tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Recurrence.Place place = tensors.state(this);
    List<Linear> all = ofMemories().stream().map(part -> part.in(tensors)).toList();
    return new Weights(
        this,
        norms().in(tensors),
        new Linear(tensors.get(ROUTER), 1, null, null, tensors.place(ROUTER)),
        query().in(tensors),
        gate().in(tensors),
        IntStream.range(0, memories())
            .mapToObj(m ->
                memory.weights(
                    tensors,
                    place.part(m * memory.stateBytes(), memory.stateBytes()),
                    all.stream().map(part -> part(part, m)).toList()))
            .toList());
  }

  /** The rows of a memory's projection. */
  private Linear part(Linear all, int memory) {
    int rows = all.matrix().rows() / memories();
    return all.rows(memory * rows, (memory + 1) * rows);
  }

  @Override
  public int widest() {
    return memory.widest();
  }

  private long stateBytes() {
    return memories() * memory.stateBytes();
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(memory.activations(tokens, cache, layer));
    numbers.put(Slot.ROUTER, (long) tokens * count);
    numbers.put(Slot.GATHERED, (long) tokens * width());
    numbers.put(Slot.MIXED, (long) tokens * memory.keyColumns());
    numbers.put(Slot.ATTENDED, (long) tokens * memory.valueColumns());
    return numbers;
  }

  /** All states, which are read and written or copied; and the work of the memories of a token. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    double one = memory.work(format, policy, tokens, past).multiplyAdds();
    return new Work(2.0 * stateBytes(), one * (shared ? used + 1 : used));
  }
}
