package dev.knapsack.engine;

import dev.knapsack.error.EngineClosedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.WorkerTeam;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** One thread that reads weights, in the order asked for, while others compute. */
final class WeightReader implements AutoCloseable {
  private final ModelFile file;
  private final WorkerTeam team;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("knapsack-reader").daemon().factory());
  private volatile boolean closed;

  /**
   * @param team threads that others may have while a step waits for a read
   */
  WeightReader(ModelFile file, WorkerTeam team) {
    this.file = file;
    this.team = team;
  }

  /** Reads a region into memory after what was asked for before. */
  CompletableFuture<Void> read(Region region, MemorySegment memory) {
    return CompletableFuture.runAsync(
        () -> {
          for (Region.Part part : region.parts()) {
            if (closed) {
              throw new EngineClosedException("engine");
            }
            file.read(part.tensor(), part.from(), memory.asSlice(part.at(), part.bytes()));
          }
        },
        thread);
  }

  /** Waits for a read; what it threw is thrown here. */
  void await(CompletableFuture<Void> read) {
    settle(read);
    try {
      read.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException problem -> throw problem;
        case Error error -> throw error;
        case null, default -> throw e;
      }
    }
  }

  /** Waits for a read, however it ends. */
  void settle(CompletableFuture<Void> read) {
    if (!read.isDone()) {
      team.rest(() -> read.handle((done, problem) -> Future.State.SUCCESS).join());
    }
  }

  /** Ends the thread after the read it is at; memory given to {@link #read} is free after that. */
  @Override
  public void close() {
    closed = true;
    thread.close();
  }
}
