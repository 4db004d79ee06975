package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.DirectFile;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The oldest tokens of one sequence, on disk, in layers without a sliding window.
 *
 * <p>They go there in blocks of {@value #PAGES} pages a head, as they are stored, and are read in
 * every step: through two buffers, one of which is filled while attention uses the other, and
 * before that while the layer before computes. In the file a block follows the other, in a block a
 * layer the other, in a layer a head the other.
 *
 * <p>Used by one thread at a time.
 */
final class SpilledTokens implements AutoCloseable {
  /** Pages of a head that go to disk together. */
  static final int PAGES = 16;

  private static final int BUFFERS = 2;

  /** Memory, and which bytes of the file are there, or on their way. */
  private static final class Buffer {
    final MemorySegment memory;

    /** −1 where nothing is worth keeping. */
    long at = -1;

    long bytes;
    CompletableFuture<Void> moved = CompletableFuture.completedFuture(null);

    Buffer(MemorySegment memory) {
      this.memory = memory;
    }
  }

  private final KvLayout layout;
  private final KvPool pool;
  private final SpillFolder folder;
  private final FileChannel file;
  private final Lease lease;
  private final Buffer[] buffers = new Buffer[BUFFERS];

  /** Bytes of a head in a block, and where each layer begins in it, by layer; last its end. */
  private final long[] headBytes;

  private final long[] layerAt;

  private int blocks;
  private int writes;

  /** The one that attention uses now. */
  private @Nullable Buffer using;

  SpilledTokens(KvPool pool) {
    this.pool = pool;
    this.layout = pool.layout();
    this.folder = pool.spillFolder();
    this.lease = pool.besidePages(bufferBytes(layout));
    try {
      this.file = folder.open();
    } catch (RuntimeException | Error e) {
      lease.close();
      throw e;
    }
    int layers = layout.layers().size();
    headBytes = new long[layers];
    Arrays.setAll(headBytes, l -> headBytes(layout, l));
    layerAt = new long[layers + 1];
    Arrays.setAll(layerAt, l -> layerAt(layout, l));
    long each = lease.segment().byteSize() / BUFFERS;
    for (int i = 0; i < BUFFERS; i++) {
      buffers[i] = new Buffer(lease.segment().asSlice(i * each, each));
    }
  }

  private static long headBytes(KvLayout layout, int layer) {
    return Math.ceilDiv(PAGES * layout.stored(layer).pageBytes(), DirectFile.BLOCK)
        * DirectFile.BLOCK;
  }

  /** Bytes of a layer's part of a block. */
  private static long layerBytes(KvLayout layout, int layer) {
    LayerLayout.Heads heads = layout.heads(layer);
    return heads.window() > 0 ? 0 : heads.kvHeads() * headBytes(layout, layer);
  }

  /** Bytes of a block in the file. */
  static long blockBytes(KvLayout layout) {
    return layerAt(layout, layout.layers().size());
  }

  /** The beginning of a layer's part of a block. */
  private static long layerAt(KvLayout layout, int layer) {
    long at = 0;
    for (int l = 0; l < layer; l++) {
      at += layerBytes(layout, l);
    }
    return at;
  }

  /** Bytes of memory that tokens pass through. */
  static long bufferBytes(KvLayout layout) {
    long largest = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      largest = Math.max(largest, layerBytes(layout, l));
    }
    return BUFFERS * largest;
  }

  /** Tokens that are on disk. */
  int tokens() {
    return blocks * layout.diskBlock();
  }

  private long at(int layer, int block) {
    return block * layerAt[layerAt.length - 1] + layerAt[layer];
  }

  private long layerBytes(int layer) {
    return layerAt[layer + 1] - layerAt[layer];
  }

  private boolean spills(int layer) {
    return layerBytes(layer) > 0;
  }

  /**
   * Takes the oldest block of tokens out of memory: while a layer is written, the next is copied.
   *
   * @throws SpillException if it cannot be written; then the sequence is lost
   */
  void add(HeadCache[][] heads) {
    forget();
    for (int l = 0; l < heads.length; l++) {
      if (spills(l)) {
        Buffer buffer = toWrite();
        for (int h = 0; h < heads[l].length; h++) {
          heads[l][h].stored().moveOut(PAGES, buffer.memory, h * headBytes[l]);
        }
        move(buffer, at(l, blocks), layerBytes(l), true);
      }
    }
    for (Buffer buffer : buffers) {
      await(buffer);
    }
    blocks++;
  }

  /** Takes the oldest block of one head out of memory: where a store puts a sequence back. */
  void addHead(int layer, int block, int head, HeadTokens tokens) {
    Buffer buffer = toWrite();
    tokens.moveOut(PAGES, buffer.memory, 0);
    move(buffer, headAt(layer, block, head), headBytes[layer], true);
    await(buffer);
  }

  /** Counts blocks of which {@link #addHead} took all heads. */
  void restored(int added) {
    blocks = added;
  }

  /** One head of a block, until the next is asked for. */
  MemorySegment head(int layer, int block, int head) {
    return acquire(headAt(layer, block, head), headBytes[layer]).memory;
  }

  private long headAt(int layer, int block, int head) {
    return at(layer, block) + head * headBytes[layer];
  }

  /** A buffer that nothing is written from any more: each in its turn. */
  private Buffer toWrite() {
    Buffer buffer = buffers[writes++ % BUFFERS];
    await(buffer);
    return buffer;
  }

  /** Puts the last block of tokens back into heads that hold nothing. */
  void takeBack(HeadCache[][] heads) {
    blocks--;
    for (int l = 0; l < heads.length; l++) {
      if (spills(l)) {
        Buffer buffer = acquire(at(l, blocks), layerBytes(l));
        for (int h = 0; h < heads[l].length; h++) {
          heads[l][h].stored().moveIn(tokens(), PAGES, buffer.memory, h * headBytes[l]);
        }
      }
    }
    forget();
  }

  /** Forgets all blocks but the first few. */
  void truncate(int kept) {
    blocks = Math.min(blocks, kept);
    forget();
  }

  /** The same tokens for another sequence: a copy of the file. */
  SpilledTokens fork() {
    SpilledTokens copy = new SpilledTokens(pool);
    try {
      for (int b = 0; b < blocks; b++) {
        for (int l = 0; l < layout.layers().size(); l++) {
          if (spills(l)) {
            Buffer from = acquire(at(l, b), layerBytes(l));
            Buffer to = copy.toWrite();
            MemorySegment.copy(from.memory, 0, to.memory, 0, layerBytes(l));
            copy.move(to, at(l, b), layerBytes(l), true);
          }
        }
      }
      for (Buffer buffer : copy.buffers) {
        await(buffer);
      }
      copy.blocks = blocks;
      return copy;
    } catch (RuntimeException | Error e) {
      copy.close();
      throw e;
    }
  }

  /**
   * A layer's tokens, by KV head: those on disk, block by block, and then those in memory. Each
   * piece is there until the next is asked for.
   */
  Iterator<KvSpan[][]> pieces(int layer, KvSpan[][] resident) {
    return new Iterator<>() {
      private int next = 0;

      @Override
      public boolean hasNext() {
        return next <= blocks;
      }

      @Override
      public KvSpan[][] next() {
        if (next > blocks) {
          throw new NoSuchElementException();
        }
        return next++ < blocks ? block(layer, next - 1) : last(layer, resident);
      }
    };
  }

  private KvSpan[][] block(int layer, int block) {
    Buffer buffer = acquire(at(layer, block), layerBytes(layer));
    if (block + 1 < blocks) {
      readAhead(layer, block + 1);
    } else {
      readAhead(following(layer), 0);
    }
    HeadForm form = layout.stored(layer);
    KvSpan[][] spans = new KvSpan[layout.heads(layer).kvHeads()][1];
    for (int h = 0; h < spans.length; h++) {
      long[] pages = new long[PAGES];
      for (int p = 0; p < PAGES; p++) {
        pages[p] = h * headBytes[layer] + p * form.pageBytes();
      }
      spans[h][0] =
          new KvSpan(
              form.keyFormat(),
              form.valueFormat(),
              form.pageTokens(),
              buffer.memory,
              pages,
              form.valuesAt(),
              layout.diskBlock(),
              block * layout.diskBlock(),
              KvSpan.NO_GAPS);
    }
    return spans;
  }

  /**
   * Gives what is in memory, which comes last: both buffers are free for what the next layer begins
   * with.
   */
  private KvSpan[][] last(int layer, KvSpan[][] resident) {
    release();
    int next = following(layer);
    readAhead(next, 0);
    if (blocks > 1) {
      readAhead(next, 1);
    }
    return resident;
  }

  /** The layer whose tokens are read after those of this one. */
  private int following(int layer) {
    int next = layer;
    do {
      next = (next + 1) % layout.layers().size();
    } while (!spills(next));
    return next;
  }

  /** Begins to read into a buffer that is free, if there is one. */
  private void readAhead(int layer, int block) {
    long at = at(layer, block);
    long bytes = layerBytes(layer);
    if (find(at, bytes) != null) {
      return;
    }
    for (Buffer buffer : buffers) {
      if (buffer.at < 0) {
        move(buffer, at, bytes, false);
        return;
      }
    }
  }

  private @Nullable Buffer find(long at, long bytes) {
    for (Buffer buffer : buffers) {
      if (buffer.at == at && buffer.bytes == bytes) {
        return buffer;
      }
    }
    return null;
  }

  /**
   * Waits for some bytes of the file.
   *
   * @return the buffer that holds them until the next call
   */
  private Buffer acquire(long at, long bytes) {
    Buffer buffer = find(at, bytes);
    if (buffer != null && buffer == using) {
      return buffer;
    }
    release();
    if (buffer == null) {
      buffer = buffers[0].at < 0 ? buffers[0] : buffers[1];
      move(buffer, at, bytes, false);
    }
    await(buffer);
    using = buffer;
    return buffer;
  }

  private void release() {
    if (using != null) {
      using.at = -1;
      using = null;
    }
  }

  /** No buffer holds anything any more: the file is to change. */
  private void forget() {
    using = null;
    for (Buffer buffer : buffers) {
      buffer.at = -1;
    }
  }

  /** Begins to read or to write; moves follow one another in the order in which they are begun. */
  private void move(Buffer buffer, long at, long bytes, boolean write) {
    buffer.at = write ? -1 : at;
    buffer.bytes = bytes;
    ByteBuffer memory = buffer.memory.asSlice(0, bytes).asByteBuffer();
    buffer.moved = folder.move(file, List.of(new SpillFolder.Move(memory, at)), write);
  }

  private static void await(Buffer buffer) {
    try {
      SpillFolder.await(buffer.moved);
    } catch (RuntimeException | Error e) {
      buffer.at = -1;
      throw e;
    }
  }

  @Override
  public void close() {
    for (Buffer buffer : buffers) {
      SpillFolder.settle(buffer.moved);
    }
    try {
      folder.close(file);
    } finally {
      lease.close();
    }
  }
}
