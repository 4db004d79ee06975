package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): of each token a row is cached that
 * all heads' keys and values are projections of, the {@code content}, and beside it one rotated key
 * for all heads.
 *
 * <p>It is computed without making heads' keys and values of the rows: what would make a head's
 * keys is done to its query instead, and what would make its values to the sum of rows that it
 * attends to. To the cache and to kernels it is one KV head, whose values are the first numbers of
 * its keys, and which all query heads share.
 *
 * @param heads query heads
 * @param querySource numbers that all heads' queries are projections of; 0 where that is what the
 *     block reads
 * @param content numbers of a cached row that keys and values are projections of
 * @param plain numbers in a query head that are not rotated
 * @param rotated numbers in a query head that are, the last; and in the key of all heads
 * @param valueSize numbers in a value head
 * @param scale factor of the scores
 * @param rope rotary embedding of {@code rotated} numbers; null for none
 * @param inOne whether the projections to keys and to values are rows of one tensor, {@code
 *     attn_kv_b}, as in older files. That to keys then lies the other way round than it is needed,
 *     and is multiplied row by row as it is decoded, which is slower than two tensors are; a turned
 *     copy would take memory that the file does not tell of
 */
public record LatentAttention(
    Norms norms,
    int width,
    int heads,
    int querySource,
    int content,
    int plain,
    int rotated,
    int valueSize,
    float scale,
    @Nullable Rope rope,
    boolean inOne)
    implements Block {
  private static final String QUERY_NORM = "attn_q_a_norm.weight";
  private static final String NORM = "attn_kv_a_norm.weight";

  /** The matrices that make heads' keys, in a file that has them by themselves. */
  public static final String TO_KEYS = "attn_k_b.weight";

  private static final String TO_VALUES = "attn_v_b.weight";

  /** Those that make keys and values, in a file that has both in one. */
  public static final String TO_BOTH = "attn_kv_b.weight";

  /** Query heads that meet cached rows together, at the most. */
  private static final int TOGETHER = 4;

  /**
   * The tensors that it computes with.
   *
   * @param source what queries are projections of; null where that is what the block reads
   * @param sourceNorm its norm
   * @param toQueries of each head: its plain numbers, then those that are rotated
   * @param toContent the part of a cached row that keys and values are projections of
   * @param toRotated the key of all heads
   * @param contentNorm the norm of the content
   * @param toKeys by head: {@code content × plain}, or {@code plain × content} if they are in one
   *     tensor with what makes values
   * @param toValues by head: {@code valueSize × content}
   */
  public record Weights(
      LatentAttention spec,
      int layer,
      Norms.Weights norms,
      @Nullable Linear source,
      @Nullable Matrix sourceNorm,
      Linear toQueries,
      Linear toContent,
      Linear toRotated,
      Matrix contentNorm,
      List<Matrix> toKeys,
      List<Matrix> toValues,
      Linear output)
      implements Block.Addend {}

  /** Numbers in a cached row, and in a query that meets it. */
  public int keySize() {
    return content + rotated;
  }

  private int queryColumns() {
    return heads * (plain + rotated);
  }

  private int attendedColumns() {
    return heads * valueSize;
  }

  private Projection source() {
    return new Projection("attn_q_a", width, querySource);
  }

  private Projection query() {
    return querySource == 0
        ? new Projection("attn_q", width, queryColumns())
        : new Projection("attn_q_b", querySource, queryColumns());
  }

  private Projection row() {
    return new Projection("attn_kv_a_mqa", width, keySize());
  }

  private Projection output() {
    return new Projection("attn_output", attendedColumns(), width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    if (querySource > 0) {
      tensors.addAll(source().tensors());
      tensors.add(new TensorSpec(QUERY_NORM, Role.NORM, querySource));
    }
    tensors.addAll(query().tensors());
    tensors.addAll(row().tensors());
    tensors.add(new TensorSpec(NORM, Role.NORM, content));
    if (inOne) {
      tensors.add(new TensorSpec(TO_BOTH, Role.HEADS, content, heads * (plain + valueSize)));
    } else {
      tensors.add(new TensorSpec(TO_KEYS, Role.HEADS, plain, content, heads));
      tensors.add(new TensorSpec(TO_VALUES, Role.HEADS, content, valueSize, heads));
    }
    tensors.addAll(output().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Linear row = row().in(tensors);
    Matrix toKeys = tensors.get(inOne ? TO_BOTH : TO_KEYS);
    Matrix toValues = tensors.get(inOne ? TO_BOTH : TO_VALUES);
    int both = plain + valueSize;
    return new Weights(
        this,
        tensors.layer(),
        norms.in(tensors),
        querySource == 0 ? null : source().in(tensors),
        querySource == 0 ? null : tensors.get(QUERY_NORM),
        query().in(tensors),
        row.rows(0, content),
        row.rows(content, keySize()),
        tensors.get(NORM),
        inOne ? byHead(toKeys, both, 0, plain) : byHead(toKeys, content, 0, content),
        inOne ? byHead(toValues, both, plain, both) : byHead(toValues, valueSize, 0, valueSize),
        output().in(tensors));
  }

  /** Rows {@code [from, to)} of each head's {@code all}. */
  private List<Matrix> byHead(Matrix matrix, int all, int from, int to) {
    return IntStream.range(0, heads)
        .mapToObj(head -> matrix.rows(head * all + from, head * all + to))
        .toList();
  }

  /** The shape in which policies see it: one KV head. */
  AttentionShape shape() {
    return shape(1);
  }

  /**
   * The shape in which kernels compute it: query heads some at a time, each time as if they had a
   * KV head to themselves, so that several workers have a share in a single token's.
   */
  AttentionShape sharedShape() {
    int together = Math.min(heads, TOGETHER);
    while (heads % together != 0) {
      together--;
    }
    return shape(heads / together);
  }

  private AttentionShape shape(int kvHeads) {
    return new AttentionShape(heads, kvHeads, keySize(), content, scale, 0, 0, true, null);
  }

  /** The change that it makes to queries by their position. */
  RotaryFrame.Turning turning() {
    return new RotaryFrame.Turning(scale, keySize(), content, rope, null);
  }

  @Override
  public int widest() {
    return Math.max(Math.max(querySource, attendedColumns()), Math.max(plain, content));
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Latent(keySize(), content, heads);
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    long byHead = (long) Math.min(tokens, LatentAttentionBlock.ROWS) * heads;
    if (querySource > 0) {
      numbers.put(Slot.QUERY_SOURCE, (long) tokens * querySource);
    }
    numbers.put(Slot.QUERY, (long) tokens * queryColumns());
    numbers.put(Slot.QUERY_ROTATED, (long) tokens * heads * rotated);
    numbers.put(Slot.KEY_CONTENT, (long) tokens * content);
    numbers.put(Slot.KEY_ROTATED, (long) tokens * rotated);
    numbers.put(Slot.KEY, (long) tokens * keySize());
    numbers.put(Slot.BY_HEAD, byHead * Math.max(plain, content));
    numbers.put(Slot.FROM_HEADS, byHead * Math.max(content, valueSize));
    numbers.put(Slot.ABSORBED, (long) tokens * heads * keySize());
    numbers.put(Slot.ATTENDED, (long) tokens * heads * content);
    numbers.put(Slot.VALUE, (long) tokens * attendedColumns());
    return numbers;
  }

  /** Rows that are read once for all heads, scores, and rows by their weights. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    double seen = Attention.seen(0, policy, tokens, past);
    double coarse = Math.min(seen, Math.min(past, policy.bounds().mostCoarse(past)));
    double row = format.keys().bytes(keySize());
    double coarseRow =
        policy.bounds().coarse().map(c -> c.keysBeside(format.keys()).bytes(keySize())).orElse(0L);
    return new Work(
        (seen - coarse) * row + coarse * coarseRow,
        tokens * (double) heads * (keySize() + content) * seen);
  }
}
