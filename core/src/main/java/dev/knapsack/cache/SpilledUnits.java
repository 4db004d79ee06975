package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.DirectFile;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of one sequence that its policy has moved to disk, in units of a head, and has read back
 * as steps ask for them.
 *
 * <p>A unit lies in the file as stores write tokens, each token's key before its value, on blocks
 * of its own: it is one read. Units are written once and never change, so that sequences with the
 * same beginning share the file.
 *
 * <p>Used by one thread at a time.
 */
final class SpilledUnits implements AutoCloseable {
  private static final int BUFFERS = 2;

  /** A file of several sequences, which goes with the last of them. */
  private static final class Shared {
    final FileChannel file;
    final AtomicLong end = new AtomicLong();
    final AtomicInteger holders = new AtomicInteger(1);

    Shared(FileChannel file) {
      this.file = file;
    }
  }

  /** A unit that is to be read, and where in the buffer it comes to lie. */
  private record Wanted(HeadUnits head, int unit, long fileAt, long blocks) {}

  /** Memory, and what is on its way from or to the file. */
  private static final class Buffer {
    final MemorySegment memory;
    CompletableFuture<Void> moved = CompletableFuture.completedFuture(null);

    Buffer(MemorySegment memory) {
      this.memory = memory;
    }
  }

  private final KvPool pool;
  private final SpillFolder folder;
  private final Lease lease;
  private final Buffer[] buffers = new Buffer[BUFFERS];

  /** By layer and KV head; none in layers with a sliding window. */
  private final HeadUnits[][] heads;

  /** Opened when the first unit is written. */
  private @Nullable Shared shared;

  private int turn;

  SpilledUnits(KvPool pool) {
    this(pool, new HeadUnits[pool.layout().layers().size()][]);
    for (int l = 0; l < heads.length; l++) {
      int layer = l;
      LayerLayout.Heads sizes = pool.layout().heads(l);
      heads[l] = new HeadUnits[sizes.window() > 0 ? 0 : sizes.kvHeads()];
      Arrays.setAll(heads[l], h -> new HeadUnits(pool, layer));
    }
  }

  private SpilledUnits(KvPool pool, HeadUnits[][] heads) {
    this.pool = pool;
    this.folder = pool.spillFolder();
    this.heads = heads;
    this.lease = pool.besidePages(bufferBytes(pool.layout()));
    long each = lease.segment().byteSize() / BUFFERS;
    for (int i = 0; i < BUFFERS; i++) {
      buffers[i] = new Buffer(lease.segment().asSlice(i * each, each));
    }
  }

  /** Whole blocks. */
  private static long blocks(long bytes) {
    return Math.ceilDiv(bytes, DirectFile.BLOCK) * DirectFile.BLOCK;
  }

  /** Bytes of memory that units pass through: as much as a layer with one unit a head takes. */
  static long bufferBytes(KvLayout layout) {
    long largest = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      largest = Math.max(largest, unitBytes(layout, l, layout.mostUnit()));
    }
    return BUFFERS * largest;
  }

  /** Bytes in the file of a unit of each head of a layer. */
  private static long unitBytes(KvLayout layout, int layer, int tokens) {
    LayerLayout.Heads sizes = layout.heads(layer);
    return sizes.window() > 0
        ? 0
        : sizes.kvHeads() * blocks(HeadUnits.bytes(layout.stored(layer), tokens));
  }

  /** The most bytes in the file of a sequence of {@code tokens} tokens. */
  static long fileBytes(KvLayout layout, int tokens) {
    long bytes = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      // The end of a unit's last block is lost: at most one block a unit.
      bytes +=
          unitBytes(layout, l, tokens) + (long) layout.mostUnits(tokens) * unitBytes(layout, l, 1);
    }
    return bytes;
  }

  /** The same tokens for another sequence, which reads them from the same file. */
  SpilledUnits fork() {
    HeadUnits[][] copies = new HeadUnits[heads.length][];
    SpilledUnits copy = new SpilledUnits(pool, copies);
    for (int l = 0; l < heads.length; l++) {
      HeadUnits[] originals = heads[l];
      copies[l] = new HeadUnits[originals.length];
      Arrays.setAll(copies[l], h -> originals[h].fork());
    }
    if (shared != null) {
      shared.holders.incrementAndGet();
      copy.shared = shared;
    }
    return copy;
  }

  HeadUnits units(int layer, int head) {
    return heads[layer][head];
  }

  /**
   * Writes tokens of a head.
   *
   * @param places where the tokens of each unit are in {@code tokens}
   * @param room tokens that may be back at once
   * @throws SpillException if they cannot be written; then the sequence is lost
   */
  void write(int layer, int head, HeadTokens tokens, int[][] places, int room) {
    HeadUnits units = heads[layer][head];
    units.room(room);
    HeadForm form = tokens.form();
    float[] key = new float[form.keySize()];
    int from = 0;
    while (from < places.length) {
      Buffer buffer = next();
      await(buffer);
      long filled = 0;
      int to = from;
      while (to < places.length
          && filled + blocks(HeadUnits.bytes(form, places[to].length))
              <= buffer.memory.byteSize()) {
        filled += blocks(HeadUnits.bytes(form, places[to++].length));
      }
      long at = shared().end.getAndAdd(filled);
      long offset = 0;
      for (int u = from; u < to; u++) {
        float[] mean = new float[key.length];
        long token = HeadUnits.bytes(form, 1);
        for (int i = 0; i < places[u].length; i++) {
          tokens.copyOut(places[u][i], 1, buffer.memory, offset + i * token);
          tokens.read(places[u][i], true, key);
          for (int c = 0; c < key.length; c++) {
            mean[c] += key[c] / places[u].length;
          }
        }
        units.add(places[u].length, at + offset, mean);
        offset += blocks(places[u].length * token);
      }
      ByteBuffer memory = buffer.memory.asSlice(0, filled).asByteBuffer();
      buffer.moved = folder.move(shared().file, List.of(new SpillFolder.Move(memory, at)), true);
      from = to;
    }
    for (Buffer buffer : buffers) {
      await(buffer);
    }
  }

  private static void await(Buffer buffer) {
    try {
      SpillFolder.await(buffer.moved);
    } finally {
      buffer.moved = CompletableFuture.completedFuture(null);
    }
  }

  private Shared shared() {
    if (shared == null) {
      shared = new Shared(folder.open());
    }
    return shared;
  }

  private Buffer next() {
    return buffers[turn++ % BUFFERS];
  }

  /** Says how much the units of a head matter to a step. */
  interface Choice {
    void score(int head, float[] out);
  }

  /**
   * Reads what a step of a layer asks for and is not in memory yet; the reads of all heads follow
   * one another in the order of the file, and while some are on their way others are taken in.
   *
   * @throws SpillException if it cannot be read
   */
  void fetch(int layer, Choice choice) {
    List<Wanted> wanted = new ArrayList<>();
    List<Integer> missing = new ArrayList<>();
    for (int h = 0; h < heads[layer].length; h++) {
      HeadUnits units = heads[layer][h];
      if (units.count() > 0) {
        float[] scores = new float[units.count()];
        choice.score(h, scores);
        missing.clear();
        units.choose(scores, missing);
        for (int unit : missing) {
          wanted.add(new Wanted(units, unit, units.at(unit), blocks(units.bytes(unit))));
        }
      }
    }
    wanted.sort(Comparator.comparingLong(Wanted::fileAt));
    read(wanted);
  }

  private void read(List<Wanted> wanted) {
    Buffer reading = next();
    int begun = begin(wanted, 0, reading);
    for (int from = 0; from < wanted.size(); ) {
      Buffer now = reading;
      int to = begun;
      reading = next();
      begun = begin(wanted, to, reading);
      await(now);
      long offset = 0;
      for (Wanted unit : wanted.subList(from, to)) {
        unit.head().take(unit.unit(), now.memory, offset);
        offset += unit.blocks();
      }
      from = to;
    }
  }

  /** Begins to read units from {@code from} on, as many as the buffer takes; where they end. */
  private int begin(List<Wanted> wanted, int from, Buffer buffer) {
    await(buffer);
    List<SpillFolder.Move> moves = new ArrayList<>();
    long filled = 0;
    int to = from;
    while (to < wanted.size() && filled + wanted.get(to).blocks() <= buffer.memory.byteSize()) {
      // What lies together in the file is one read.
      long at = filled;
      int first = to;
      do {
        filled += wanted.get(to++).blocks();
      } while (to < wanted.size()
          && wanted.get(to).fileAt() == wanted.get(to - 1).fileAt() + wanted.get(to - 1).blocks()
          && filled + wanted.get(to).blocks() <= buffer.memory.byteSize());
      ByteBuffer memory = buffer.memory.asSlice(at, filled - at).asByteBuffer();
      moves.add(new SpillFolder.Move(memory, wanted.get(first).fileAt()));
    }
    if (!moves.isEmpty()) {
      buffer.moved = folder.move(shared().file, moves, false);
    }
    return to;
  }

  /**
   * The tokens that attention sees of a layer: those that have been read, and what never left
   * memory.
   */
  KvSpan[][] spans(int layer, KvSpan[][] resident) {
    KvSpan[][] spans = new KvSpan[resident.length][];
    for (int h = 0; h < spans.length; h++) {
      HeadUnits units = heads[layer][h];
      spans[h] = resident[h];
      if (units.fetched() > 0) {
        spans[h] = new KvSpan[resident[h].length + 1];
        spans[h][0] = units.view();
        System.arraycopy(resident[h], 0, spans[h], 1, resident[h].length);
      }
    }
    return spans;
  }

  /** Bytes of pages that hold what has been read back. */
  long fetchedBytes() {
    return Arrays.stream(heads).flatMap(Arrays::stream).mapToLong(HeadUnits::fetchedBytes).sum();
  }

  /** Says whether nothing is on disk. */
  boolean isEmpty() {
    return Arrays.stream(heads).flatMap(Arrays::stream).allMatch(units -> units.count() == 0);
  }

  @Override
  public void close() {
    for (Buffer buffer : buffers) {
      SpillFolder.settle(buffer.moved);
    }
    for (HeadUnits[] layer : heads) {
      for (HeadUnits units : layer) {
        units.clear();
      }
    }
    lease.close();
    if (shared != null && shared.holders.decrementAndGet() == 0) {
      folder.close(shared.file);
    }
  }
}
