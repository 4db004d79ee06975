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
import java.lang.foreign.MemorySegment;
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
 * @param gated whether, beside each query head, there is a gate whose sigmoid multiplies what the
 *     head attends to
 * @param scale factor of the scores
 * @param softCap soft cap of the scores; 0 for none
 * @param window sliding window in tokens; 0 for none. Where tokens see those after them, it reaches
 *     as far ahead as back
 * @param chunked whether the window does not slide: tokens see those in the same of the chunks of
 *     {@code window} positions that a sequence is cut into
 * @param rope rotary embedding; null for none
 * @param slopes of scores by distance: Press et al., "Train Short, Test Long", arXiv 2108.12409, as
 *     far ahead as back; null for none
 * @param queryScale how queries grow with their position; null where they do not
 * @param headNorms the norms that queries and keys may have
 * @param source where keys and values come from
 * @param values the making of values
 * @param hashBits bits of the parts of its input by which queries, keys and values are looked up
 *     ({@link MemoryLayer}), and what heads attend to is added as it is; 0 where all are
 *     projections
 */
public record Attention(
    Norms norms,
    int width,
    int heads,
    int kvHeads,
    int keySize,
    int valueSize,
    boolean gated,
    float scale,
    float softCap,
    int window,
    boolean chunked,
    @Nullable Rope rope,
    @Nullable Slopes slopes,
    @Nullable QueryScale queryScale,
    HeadNorms headNorms,
    Source source,
    Values values,
    int hashBits)
    implements Block {
  /** The making of values. */
  public sealed interface Values {
    /** A projection. */
    Values PROJECTED = new Projected(false);

    /** A projection, each head normed without factors. */
    Values NORMED = new Projected(true);

    /** Keys as they are projected, each head normed without factors. */
    Values KEYS = new Keys();

    /** Rows as they are, and so are keys: of heads that are as wide as the model together. */
    Values ROWS = new OwnRows();

    /** A projection, whose heads may be normed. */
    record Projected(boolean normed) implements Values {}

    /** The keys' projection. */
    record Keys() implements Values {}

    /** The rows that are read. */
    record OwnRows() implements Values {}

    /**
     * Mixtures of a projection and of a token's rows in a bank, by gates of each head: {@code g_0 ·
     * v + Σ g_i · bank_i}, {@code g = 2 σ(gate(x))} (MoVE, arXiv 2601.22887, its V_S).
     */
    record Mixed(ValueEmbeddings bank) implements Values {}
  }

  /**
   * The slopes of heads: {@code 2^(−8 h / heads)}, {@code h} from 1, of a power of two of heads.
   */
  public record Slopes(int heads) {
    /** F32, one for each head; of as many as are no power of two, by the rule of two parts. */
    MemorySegment numbers() {
      float[] numbers = new float[heads];
      int power = Integer.highestOneBit(heads);
      for (int h = 0; h < heads; h++) {
        double exponent = h < power ? h + 1 : h - power + 0.5;
        numbers[h] = (float) Math.pow(2, -8 * exponent / power);
      }
      return MemorySegment.ofArray(numbers);
    }
  }

  /** The place that keys and values come from, and so the tokens that a token sees. */
  public sealed interface Source {
    /** The layer's own cache. */
    Source CACHE = new Cache();

    /** All rows of a text. */
    Source ROWS = new Rows(true);

    /** The layer's cache: the sequence so far, and of the step's tokens those up to the own. */
    record Cache() implements Source {}

    /** The cache of an earlier layer, and that layer's keys and values. */
    record Earlier(int layer) implements Source {}

    /**
     * The step's own rows, of a text that is computed whole.
     *
     * @param all whether all of them, or those up to the own
     */
    record Rows(boolean all) implements Source {}
  }

  private static final String QUERY_NORM = "attn_q_norm.weight";
  private static final String KEY_NORM = "attn_k_norm.weight";
  private static final String ATTENDED_NORM = "attn_sub_norm.weight";
  private static final String SINKS = "attn_sinks.weight";

  /**
   * The tensors that it computes with.
   *
   * @param tables what queries, keys and values are looked up in; none where they are projections
   * @param query gives queries; where there are gates, each head's query and then its gate; null
   *     where they are looked up
   * @param key null there, where keys and values are another layer's, and where they are the rows
   * @param value likewise; the same as {@code key} where values are keys
   * @param valueGate gates of each head's value and of its rows in a bank; null without one
   * @param output null where what heads attend to is added as it is
   * @param queryNorm factors for the numbers of a query head, or of all
   * @param keyNorm likewise
   * @param attendedNorm of what the output projection is multiplied with, all heads together
   * @param sinks a logit of each head that stands for nothing
   * @param slopes F32, one of each head
   */
  public record Weights(
      Attention spec,
      int layer,
      Norms.Weights norms,
      List<MemoryLayer.Weights> tables,
      @Nullable Linear query,
      @Nullable Linear key,
      @Nullable Linear value,
      @Nullable Linear valueGate,
      @Nullable Linear output,
      @Nullable Norm queryNorm,
      @Nullable Norm keyNorm,
      @Nullable Matrix attendedNorm,
      @Nullable Matrix sinks,
      @Nullable MemorySegment slopes)
      implements Block.Addend {
    /** The layer whose cached keys and values it attends to. */
    int cachedIn() {
      return spec.source instanceof Source.Earlier(int earlier) ? earlier : layer;
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
          spec.chunked,
          !spec.source.equals(Source.ROWS),
          sinks == null ? null : sinks.data(),
          slopes);
    }
  }

  /** Says whether it has keys and values of its own, and not those of an earlier layer. */
  public boolean hasKeys() {
    return !(source instanceof Source.Earlier);
  }

  private boolean projectsKeys() {
    return hasKeys() && !values.equals(Values.ROWS);
  }

  /** The change that it makes to queries by their position. */
  RotaryFrame.Turning turning() {
    return new RotaryFrame.Turning(scale, keySize, 0, rope, queryScale);
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
    return gated
        ? new Projection("attn_q", width, queryColumns() + attendedColumns())
        : new Projection("attn_q", width, queryColumns(), "attn_qkv");
  }

  private Projection key() {
    return new Projection("attn_k", width, keyColumns(), "attn_qkv");
  }

  /** The tables that queries, keys and values are looked up in. */
  private List<MemoryLayer> tables() {
    return hashBits == 0
        ? List.of()
        : List.of(
            new MemoryLayer("attn_q_hash", width, hashBits, queryColumns()),
            new MemoryLayer("attn_k_hash", width, hashBits, keyColumns()),
            new MemoryLayer("attn_v_hash", width, hashBits, valueColumns()));
  }

  /** Projections of queries; of keys and values where it has its own. */
  private List<Projection> inputs() {
    if (hashBits > 0) {
      return List.of();
    }
    if (!projectsKeys()) {
      return List.of(query());
    }
    return values instanceof Values.Keys
        ? List.of(query(), key())
        : List.of(query(), key(), new Projection("attn_v", width, valueColumns(), "attn_qkv"));
  }

  /** The gates of values where these are mixtures; none elsewhere. */
  private List<Projection> valueGates() {
    return values instanceof Values.Mixed(ValueEmbeddings bank) && hasKeys()
        ? List.of(new Projection("attn_v_gate", width, bank.gates(kvHeads)))
        : List.of();
  }

  private Projection output() {
    return new Projection("attn_output", attendedColumns(), width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(Projection.tensors(inputs()));
    tensors.addAll(Projection.tensors(valueGates()));
    tables().forEach(table -> tensors.addAll(table.tensors()));
    tensors.addAll(headNorms.tensors(QUERY_NORM, heads, keySize));
    if (hasKeys()) {
      tensors.addAll(headNorms.tensors(KEY_NORM, kvHeads, keySize));
    }
    tensors.add(new TensorSpec(ATTENDED_NORM, Role.NORM, attendedColumns()).orNone());
    if (hashBits == 0) {
      tensors.addAll(output().tensors());
    }
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
    List<Linear> inputs = hashBits > 0 ? List.of() : Projection.in(tensors, inputs());
    boolean projects = projectsKeys() && hashBits == 0;
    List<Projection> gates = valueGates();
    return new Weights(
        this,
        tensors.layer(),
        norms.in(tensors),
        tables().stream().map(table -> table.in(tensors)).toList(),
        hashBits > 0 ? null : inputs.getFirst(),
        projects ? inputs.get(1) : null,
        projects ? inputs.getLast() : null,
        gates.isEmpty() ? null : gates.getFirst().in(tensors),
        hashBits > 0 ? null : output().in(tensors),
        Norm.find(QUERY_NORM, tensors::find),
        hasKeys() ? Norm.find(KEY_NORM, tensors::find) : null,
        tensors.find(ATTENDED_NORM),
        tensors.find(SINKS),
        slopes == null ? null : slopes.numbers());
  }

  @Override
  public int widest() {
    return Math.max(attendedColumns(), keySize);
  }

  @Override
  public LayerLayout remembers() {
    return source instanceof Source.Cache
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
    tables().forEach(t -> numbers.merge(Slot.GATHERED, t.gathered(tokens), Math::max));
    if (gated) {
      numbers.put(Slot.MIXED, (long) tokens * (queryColumns() + attendedColumns()));
      numbers.put(Slot.GATE, (long) tokens * attendedColumns());
    }
    if (source instanceof Source.Earlier(int earlier)) {
      int sketch = cache.heads(earlier).sketch();
      if (sketch > 0) {
        numbers.put(Slot.QUERY_SKETCH, (long) tokens * sketch * queryColumns());
      }
      return numbers;
    }
    numbers.put(Slot.KEY, (long) tokens * keyColumns());
    numbers.put(Slot.VALUE, (long) tokens * valueColumns());
    if (values instanceof Values.Mixed(ValueEmbeddings bank)) {
      numbers.put(Slot.VALUE_GATES, (long) tokens * bank.gates(kvHeads));
    }
    if (source instanceof Source.Cache) {
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
    Work work = attending(format, policy, tokens, past);
    for (MemoryLayer table : tables()) {
      work = work.plus(table.work(tokens));
    }
    return work;
  }

  private Work attending(KvFormat format, KvPolicy policy, int tokens, int past) {
    if (source instanceof Source.Rows(boolean all)) {
      double rows = rows(tokens, all);
      return new Work(
          Float.BYTES * rows * (keyColumns() + valueColumns()),
          tokens * rows * heads * (keySize + valueSize));
    }
    double seen = seen(window, policy, tokens, past);
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
  static double seen(int window, KvPolicy policy, int tokens, int past) {
    if (window > 0) {
      return Math.min(past + own(tokens), window);
    }
    KvBounds bounds = policy.bounds();
    return Math.min(past, (double) bounds.most(past) + bounds.mostCoarse(past)) + own(tokens);
  }

  /** Rows of a text of {@code tokens} tokens that one of them sees, on average. */
  private double rows(int tokens, boolean all) {
    double rows = all ? tokens : own(tokens);
    double most = all ? 2.0 * window - 1 : window;
    return window > 0 ? Math.min(rows, most) : rows;
  }

  /** Those of the step itself. */
  private static double own(int tokens) {
    return (tokens + 1) / 2.0;
  }
}
