package dev.knapsack.model;

import dev.knapsack.cache.KvBounds;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Attention over the tokens of a sequence or of a text. Biases, norms of heads and sinks are not
 * listed: they are there when their tensors are.
 *
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param keySize numbers in a query or key head
 * @param valueSize numbers in a value head
 * @param scale factor of the scores
 * @param softCap soft cap of the scores; 0 for none
 * @param window sliding window in tokens; 0 for none. Where tokens see those after them, it reaches
 *     as far ahead as back
 * @param rope rotary embedding; null for none
 * @param queryScale how queries grow with their position; null where they do not
 * @param source where keys and values come from
 * @param values the making of values
 * @param keysOf the earlier layer whose cached keys and values it attends to; null if it has its
 *     own
 */
public record Attention(
    Norms norms,
    int width,
    int heads,
    int kvHeads,
    int keySize,
    int valueSize,
    float scale,
    float softCap,
    int window,
    @Nullable Rope rope,
    @Nullable QueryScale queryScale,
    Source source,
    Values values,
    @Nullable Integer keysOf)
    implements Block {
  /** Attention with keys and values of its own, both projected. */
  public Attention(
      Norms norms,
      int width,
      int heads,
      int kvHeads,
      int keySize,
      int valueSize,
      float scale,
      float softCap,
      int window,
      @Nullable Rope rope,
      @Nullable QueryScale queryScale,
      Source source) {
    this(
        norms,
        width,
        heads,
        kvHeads,
        keySize,
        valueSize,
        scale,
        softCap,
        window,
        rope,
        queryScale,
        source,
        Values.PROJECTED,
        null);
  }

  /** The making of values. */
  public enum Values {
    /** A projection. */
    PROJECTED,
    /** A projection, each head normed without factors. */
    NORMED,
    /** Keys as they are projected, each head normed without factors. */
    KEYS
  }

  /** The place that keys and values come from, and so the tokens that a token sees. */
  public enum Source {
    /** A cache: the sequence so far, and of the step's tokens those up to the own. */
    CACHE,
    /** The step's own rows, of a text that is computed whole: those up to the own. */
    ROWS_SO_FAR,
    /** The step's own rows, of a text that is computed whole: all of them. */
    ROWS
  }

  private static final String QUERY_NORM = "attn_q_norm.weight";
  private static final String KEY_NORM = "attn_k_norm.weight";
  private static final String SINKS = "attn_sinks.weight";

  /**
   * The tensors that it computes with.
   *
   * @param key null where keys and values are another layer's
   * @param value likewise; the same as {@code key} where values are keys
   * @param queryNorm factors for the numbers of a query head
   * @param keyNorm likewise
   * @param sinks a logit of each head that stands for nothing
   */
  public record Weights(
      Attention spec,
      int layer,
      Norms.Weights norms,
      Linear query,
      @Nullable Linear key,
      @Nullable Linear value,
      Linear output,
      @Nullable Matrix queryNorm,
      @Nullable Matrix keyNorm,
      @Nullable Matrix sinks)
      implements Block.Addend {
    /** The layer whose cached keys and values it attends to. */
    int cachedIn() {
      return spec.keysOf == null ? layer : spec.keysOf;
    }

    /**
     * The shape that kernels take.
     *
     * @param cachedKeySize numbers in a key as it is cached
     */
    AttentionShape shape(int cachedKeySize) {
      return new AttentionShape(
          spec.heads,
          spec.kvHeads,
          cachedKeySize,
          spec.valueSize,
          spec.scale,
          spec.softCap,
          spec.window,
          spec.source != Source.ROWS,
          sinks == null ? null : sinks.data());
    }
  }

  /** Numbers in a token's queries, all heads. */
  public int queryColumns() {
    return heads * keySize;
  }

  /** Numbers in a token's keys, all heads. */
  public int keyColumns() {
    return kvHeads * keySize;
  }

  /** Numbers in a token's values, all heads. */
  public int valueColumns() {
    return kvHeads * valueSize;
  }

  /** Numbers in a token's attention output, all heads. */
  public int attendedColumns() {
    return heads * valueSize;
  }

  private Projection query() {
    return new Projection("attn_q", width, queryColumns(), "attn_qkv");
  }

  private Projection key() {
    return new Projection("attn_k", width, keyColumns(), "attn_qkv");
  }

  /** Queries; keys and values where it has its own. */
  private List<Projection> inputs() {
    if (keysOf != null) {
      return List.of(query());
    }
    return values == Values.KEYS
        ? List.of(query(), key())
        : List.of(query(), key(), new Projection("attn_v", width, valueColumns(), "attn_qkv"));
  }

  private Projection output() {
    return new Projection("attn_output", attendedColumns(), width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(Projection.tensors(inputs()));
    tensors.add(new TensorSpec(QUERY_NORM, Role.NORM, keySize).orNone());
    if (keysOf == null) {
      tensors.add(new TensorSpec(KEY_NORM, Role.NORM, keySize).orNone());
    }
    tensors.addAll(output().tensors());
    tensors.add(new TensorSpec(SINKS, Role.NUMBERS, heads).orNone());
    return norms.around(width, tensors);
  }

  /** Says whether the rows of a tensor are those that a rotary embedding pairs. */
  boolean isPaired(String tensor) {
    return Projection.tensors(List.of(query(), key())).stream()
        .anyMatch(spec -> spec.name().equals(tensor));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    List<Linear> inputs = Projection.in(tensors, inputs());
    return new Weights(
        this,
        tensors.layer(),
        norms.in(tensors),
        inputs.get(0),
        keysOf == null ? inputs.get(1) : null,
        keysOf == null ? inputs.getLast() : null,
        output().in(tensors),
        tensors.find(QUERY_NORM),
        keysOf == null ? tensors.find(KEY_NORM) : null,
        tensors.find(SINKS));
  }

  @Override
  public int widest() {
    return Math.max(attendedColumns(), keySize);
  }

  @Override
  public LayerLayout remembers() {
    return source == Source.CACHE && keysOf == null
        ? new LayerLayout.Heads(kvHeads, keySize, valueSize, window, heads / kvHeads)
        : new LayerLayout.None();
  }

  @Override
  public boolean mixesTokens() {
    return true;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.QUERY, (long) tokens * queryColumns());
    numbers.put(Slot.ATTENDED, (long) tokens * attendedColumns());
    if (keysOf != null) {
      int sketch = cache.heads(keysOf).sketch();
      if (sketch > 0) {
        numbers.put(Slot.QUERY_SKETCH, (long) tokens * sketch * queryColumns());
      }
      return numbers;
    }
    numbers.put(Slot.KEY, (long) tokens * keyColumns());
    numbers.put(Slot.VALUE, (long) tokens * valueColumns());
    if (source == Source.CACHE) {
      addRecipes(tokens, cache, layer, numbers);
    }
    return numbers;
  }

  /** The slots of what KV recipes ask for. */
  private void addRecipes(int tokens, KvLayout cache, int layer, Map<Slot, Long> numbers) {
    int sketch = cache.heads(layer).sketch();
    if (sketch > 0) {
      numbers.put(Slot.QUERY_SKETCH, (long) tokens * sketch * queryColumns());
      numbers.put(Slot.KEY_SKETCH, (long) tokens * sketch * keyColumns());
    }
    if (window == 0 && cache.policy().observer().wantsOutputNorms(layer)) {
      numbers.put(Slot.NORMS, (long) OutputNorms.numbers(this, tokens));
    }
    int units = cache.policy().observer().gates().map(RetentionGates::hidden).orElse(0);
    if (units > 0) {
      numbers.put(Slot.GATE_UNITS, (long) tokens * units);
      numbers.put(Slot.GATE_HEADS, (long) tokens * kvHeads);
    }
  }

  /** Tokens that are read, scores, and values by their weights; projections of sketches. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    if (source != Source.CACHE) {
      double rows = rows(tokens);
      return new Work(
          Float.BYTES * rows * (keyColumns() + valueColumns()),
          tokens * rows * heads * (keySize + valueSize));
    }
    double seen = seen(policy, tokens, past);
    int keys = format.keySize(keySize);
    double coarse = window > 0 ? 0 : Math.max(0, seen - own(tokens) - policy.bounds().most(past));
    double token = format.keys().bytes(keys) + format.values().bytes(valueSize);
    double coarseToken =
        policy
            .bounds()
            .coarse()
            .map(c ->
                c.keysBeside(format.keys()).bytes(c.keySize(keys, format.keys()))
                    + c.valuesBeside(format.values()).bytes(valueSize))
            .orElse(0L);
    double sketched = format.sketch() > 0 ? (heads + kvHeads) * (double) keys * keySize : 0;
    return new Work(
        kvHeads * ((seen - coarse) * token + coarse * coarseToken),
        tokens * (heads * (double) (keys + valueSize) * seen + sketched));
  }

  /** Cached tokens that a token of the step sees, on average. */
  private double seen(KvPolicy policy, int tokens, int past) {
    if (window > 0) {
      return Math.min(past + own(tokens), window);
    }
    KvBounds bounds = policy.bounds();
    return Math.min(past, (double) bounds.most(past) + bounds.mostCoarse(past)) + own(tokens);
  }

  /** Rows of a text of {@code tokens} tokens that one of them sees, on average. */
  private double rows(int tokens) {
    double rows = source == Source.ROWS ? tokens : own(tokens);
    double most = source == Source.ROWS ? 2.0 * window - 1 : window;
    return window > 0 ? Math.min(rows, most) : rows;
  }

  /** Those of the step itself. */
  private static double own(int tokens) {
    return (tokens + 1) / 2.0;
  }
}
