package dev.knapsack.engine;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Rows of tables on disk, read when a step's tokens need them: some at once, each in the sectors
 * that it is in and no more, and once for all tokens that are the same.
 *
 * <p>Used by one thread at a time.
 */
final class RowReader implements AutoCloseable {
  private final ModelFile file;
  private final WeightLayout layout;
  private final Map<String, TensorInfo> tables = new HashMap<>();
  private final int atOnce;
  private final WorkerTeam team;
  private final Lease lease;
  private final long slotBytes;
  private final AtomicLong bytes = new AtomicLong();
  private long asked;

  /** Starts a thread when it is first needed: one row is read by the thread that asks for it. */
  private final ExecutorService threads;

  /**
   * Leases room for as many rows as are read at once.
   *
   * @param layout says how many rows a token reads
   * @param tables those on disk
   * @param team threads that others may have while a step waits
   */
  RowReader(
      ModelFile file,
      WeightLayout layout,
      List<TensorInfo> tables,
      int atOnce,
      Account account,
      WorkerTeam team) {
    this.file = file;
    this.layout = layout;
    this.atOnce = atOnce;
    this.team = team;
    tables.forEach(table -> this.tables.put(table.name(), table));
    this.slotBytes = WeightLayout.rowBytes(tables);
    this.lease = account.lease(atOnce * slotBytes);
    this.threads =
        Executors.newFixedThreadPool(
            atOnce, Thread.ofPlatform().name("knapsack-rows-", 0).daemon().factory());
  }

  /** The bytes that a token has had read so far. */
  TableReads reads() {
    long each = 0;
    long rows = 0;
    for (TensorInfo table : tables.values()) {
      each += layout.reads(table) * WeightLayout.rowBytes(List.of(table));
      rows += layout.reads(table);
    }
    return new TableReads(each, asked == 0 ? 0 : (double) bytes.get() * rows / asked);
  }

  /** Decodes a row of a table for each row of {@code target}. */
  void read(String name, int[] tokens, Matrix target) {
    TensorInfo table = tables.get(name);
    if (table == null) {
      throw new IllegalStateException(name + " is not among the tables on disk");
    }
    asked += target.rows();
    Map<Integer, Integer> firsts = new HashMap<>();
    List<Integer> wanted = new ArrayList<>();
    int[] first = new int[target.rows()];
    for (int row = 0; row < first.length; row++) {
      Integer known = firsts.putIfAbsent(tokens[row], row);
      first[row] = known == null ? row : known;
      if (known == null) {
        wanted.add(row);
      }
    }
    AtomicInteger next = new AtomicInteger();
    int readers = Math.min(atOnce, wanted.size());
    if (readers == 1) {
      team.rest(() -> read(table, tokens, wanted, next, 0, target));
    } else {
      CompletableFuture<?>[] reads = new CompletableFuture<?>[readers];
      for (int slot = 0; slot < readers; slot++) {
        int own = slot;
        reads[slot] =
            CompletableFuture.runAsync(
                () -> read(table, tokens, wanted, next, own, target), threads);
      }
      await(CompletableFuture.allOf(reads));
    }
    for (int row = 0; row < target.rows(); row++) {
      if (first[row] != row) {
        MemorySegment.copy(
            target.data(),
            target.rowOffset(first[row]),
            target.data(),
            target.rowOffset(row),
            target.rowBytes());
      }
    }
  }

  /** Waits until all have ended, however that is, so that none still writes. */
  private void await(CompletableFuture<Void> reads) {
    team.rest(() -> reads.handle((done, problem) -> Future.State.SUCCESS).join());
    try {
      reads.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException problem -> throw problem;
        case Error error -> throw error;
        case null, default -> throw e;
      }
    }
  }

  /** Reads rows into a slot, one after the other, as long as there are any. */
  private void read(
      TensorInfo table,
      int[] tokens,
      List<Integer> wanted,
      AtomicInteger next,
      int slot,
      Matrix target) {
    MemorySegment room = lease.segment().asSlice(slot * slotBytes, slotBytes);
    long size = table.format().bytes(target.columns());
    for (int i = next.getAndIncrement(); i < wanted.size(); i = next.getAndIncrement()) {
      int row = wanted.get(i);
      long from = tokens[row] * size;
      long skipped = file.alignment(table, from);
      long begin = from - skipped;
      long end = begin + Math.ceilDiv(skipped + size, WeightLayout.SECTOR) * WeightLayout.SECTOR;
      if (begin < 0 || end > table.bytes()) {
        file.read(table, from, room.asSlice(skipped, size));
        bytes.addAndGet(size);
      } else {
        file.read(table, begin, room.asSlice(0, end - begin));
        bytes.addAndGet(end - begin);
      }
      table.format().decode(room, skipped, target.data(), target.rowOffset(row), target.columns());
    }
  }

  /** Ends the threads, and gives the room back. */
  @Override
  public void close() {
    threads.close();
    lease.close();
  }
}
