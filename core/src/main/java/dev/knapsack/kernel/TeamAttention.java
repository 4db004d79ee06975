package dev.knapsack.kernel;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.NativeMemory;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * Attention of a step's sequences, spread over a {@link WorkerTeam}: one task for all of them, but
 * for those whose tokens come in several pieces or are divided.
 *
 * <p>What a sequence gets does not depend on the others.
 */
final class TeamAttention implements AutoCloseable {
  /** Query rows that share one reading of the cache, and queries: whichever is more. */
  private static final int ROWS = 16;

  private static final int SHARING = 32;

  /** Cached tokens of which one query row may meet a part at a time, and the most such parts. */
  private static final int PART_TOKENS = 2048;

  private static final int MOST_PARTS = 8;

  private final Attention attention;
  private final WorkerTeam team;
  private final KernelLimits limits;
  private final Scratch[] scratch;
  private final Lease lease;

  /**
   * @param scratch of each worker
   */
  TeamAttention(
      Attention attention,
      WorkerTeam team,
      KernelLimits limits,
      Scratch[] scratch,
      Account account) {
    this.attention = attention;
    this.team = team;
    this.limits = limits;
    this.scratch = scratch;
    this.lease = account.lease(bytes(limits));
  }

  /** The softmax of each row or part, and the values of each part. */
  static long bytes(KernelLimits limits) {
    long values = (long) MOST_PARTS * limits.headSize();
    return NativeMemory.wholePages(softmaxBytes(limits) + limits.heads() * values * Float.BYTES);
  }

  private static long softmaxBytes(KernelLimits limits) {
    long rows = Math.max(MOST_PARTS, limits.tokens());
    return limits.heads() * rows * PartialAttention.STATE * Float.BYTES;
  }

  /** See {@link Compute#attention}. */
  void attend(AttentionShape shape, List<Queries> sequences) {
    int rows = Math.max(ROWS, SHARING / (shape.heads() / shape.kvHeads()));
    List<Whole> together = new ArrayList<>(sequences.size());
    for (Queries queries : sequences) {
      KvSpan[][] heads = queries.pieces().next();
      int longest = longest(heads);
      boolean one = queries.rows().rows() == 1 && queries.divisible();
      int parts = one ? Math.min(MOST_PARTS, longest / PART_TOKENS) : 1;
      if (queries.pieces().hasNext()) {
        inPieces(shape, queries, heads);
      } else if (parts > 1) {
        divided(shape, queries, heads, parts);
      } else {
        together.add(new Whole(queries, heads, longest, rows));
      }
    }
    together(shape, together);
  }

  private static int longest(KvSpan[][] heads) {
    int longest = 0;
    for (KvSpan[] spans : heads) {
      longest = Math.max(longest, KvSpan.length(spans));
    }
    return longest;
  }

  /** A sequence whose tokens are all there. */
  private record Whole(Queries queries, KvSpan[][] heads, int longest, int rows) {
    int blocks() {
      return Math.ceilDiv(queries.rows().rows(), rows);
    }

    /** Cost of the largest piece of work: meetings of rows and tokens. */
    long cost() {
      return (long) Math.min(queries.rows().rows(), rows) * longest;
    }
  }

  /**
   * Every KV head with every block of rows is a part. What takes longest is begun first, and of a
   * sequence its last rows, which see most.
   */
  private void together(AttentionShape shape, List<Whole> sequences) {
    sequences.sort(Comparator.comparingLong(Whole::cost).reversed());
    int[] ends = new int[sequences.size()];
    int parts = 0;
    for (int i = 0; i < ends.length; i++) {
      parts += shape.kvHeads() * sequences.get(i).blocks();
      ends[i] = parts;
    }
    team.run(
        parts,
        (part, all, worker) -> {
          int found = Arrays.binarySearch(ends, part + 1);
          int i = found < 0 ? -found - 1 : found;
          Whole whole = sequences.get(i);
          int after = ends[i] - 1 - part;
          int head = after % shape.kvHeads();
          Queries queries = whole.queries();
          Matrix rows = queries.rows();
          int from = after / shape.kvHeads() * whole.rows();
          attention.attend(
              shape,
              rows,
              queries.firstPosition(),
              whole.heads()[head],
              head,
              queries.out(),
              from,
              Math.min(rows.rows(), from + whole.rows()),
              scratch[worker]);
        });
  }

  private void inPieces(AttentionShape shape, Queries queries, KvSpan[][] first) {
    Matrix rows = queries.rows();
    Matrix out = queries.out();
    PartialAttention seen = new PartialAttention(out, softmax(rows.rows(), shape, 0));
    seen.clear();
    int blocks = Math.ceilDiv(rows.rows(), ROWS);
    for (KvSpan[][] piece = first; ; piece = queries.pieces().next()) {
      KvSpan[][] heads = piece;
      boolean last = !queries.pieces().hasNext();
      team.run(
          shape.kvHeads() * blocks,
          (part, all, worker) -> {
            int from = part % blocks * ROWS;
            int head = part / blocks;
            int to = Math.min(rows.rows(), from + ROWS);
            int position = queries.firstPosition();
            Scratch mine = scratch[worker];
            attention.attendPart(shape, rows, position, heads[head], head, seen, from, to, mine);
            for (int row = from; last && row < to; row++) {
              PartialAttention.merge(shape, head, new PartialAttention[] {seen}, out, row);
            }
          });
      if (last) {
        return;
      }
    }
  }

  /** A row's long cache, divided: a single row has few heads to spread over the workers. */
  private void divided(AttentionShape shape, Queries queries, KvSpan[][] heads, int parts) {
    PartialAttention[] results = new PartialAttention[parts];
    int columns = shape.heads() * shape.valueSize();
    for (int p = 0; p < parts; p++) {
      long at = softmaxBytes(limits) + p * Formats.F32.bytes(columns);
      Matrix values = new Matrix(Formats.F32, 1, columns, lease.segment().asSlice(at));
      results[p] = new PartialAttention(values, softmax(1, shape, p));
      results[p].clear();
    }
    AtomicIntegerArray done = new AtomicIntegerArray(shape.kvHeads());
    team.run(
        shape.kvHeads() * parts,
        (task, all, worker) -> {
          int part = task % parts;
          int head = task / parts;
          KvSpan[] spans = heads[head].clone();
          for (int s = 0; s < spans.length; s++) {
            spans[s] = part(spans[s], part, parts);
          }
          attention.attendPart(
              shape,
              queries.rows(),
              queries.firstPosition(),
              spans,
              head,
              results[part],
              0,
              1,
              scratch[worker]);
          if (done.incrementAndGet(head) == parts) {
            PartialAttention.merge(shape, head, results, queries.out(), 0);
          }
        });
  }

  private static KvSpan part(KvSpan span, int part, int parts) {
    int pages = Math.ceilDiv(span.length(), span.pageTokens());
    int from = (int) ((long) pages * part / parts) * span.pageTokens();
    int to = (int) ((long) pages * (part + 1) / parts) * span.pageTokens();
    return span.part(Math.min(from, span.length()), Math.min(to, span.length()));
  }

  /** Memory for the softmax of some rows, after that of {@code before} others. */
  private Matrix softmax(int rows, AttentionShape shape, int before) {
    int columns = shape.heads() * PartialAttention.STATE;
    MemorySegment memory = lease.segment().asSlice(Formats.F32.bytes((long) before * columns));
    return new Matrix(Formats.F32, rows, columns, memory);
  }

  @Override
  public void close() {
    lease.close();
  }
}
