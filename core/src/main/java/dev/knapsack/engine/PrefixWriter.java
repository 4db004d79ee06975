package dev.knapsack.engine;

import dev.knapsack.cache.PrefixBacklog;
import dev.knapsack.cache.store.PrefixFolder;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The virtual thread that gives a folder what a prefix tree has.
 *
 * <p>It has bytes copied between steps, a slice at a time, and does all else beside them. While
 * steps are computed it rests so long after each slice that it has no more than a {@value #SHARE}th
 * of the time. When the disk refuses, it stops for good, and says why.
 */
final class PrefixWriter {
  /** While something else is computed, one of so many parts of the time is this thread's. */
  private static final int SHARE = 25;

  /** The longest rest, in nanoseconds: what was computed may have ended meanwhile. */
  private static final long MOST_REST = 50_000_000;

  private final StepLoop loop;
  private final PrefixBacklog backlog;
  private final PrefixFolder folder;
  private final Semaphore more = new Semaphore(0);
  private final Thread thread;

  /** The time at which this thread went on by itself, after something was done between steps. */
  private long since;

  private volatile boolean last;
  private volatile @Nullable String stopped;

  /** A thread that has not been started yet. */
  PrefixWriter(StepLoop loop, PrefixBacklog backlog, PrefixFolder folder) {
    this.loop = loop;
    this.backlog = backlog;
    this.folder = folder;
    this.thread = Thread.ofVirtual().name("knapsack-prefixes").unstarted(this::run);
    backlog.listen(more::release);
  }

  void start() {
    thread.start();
  }

  /** The sentence on why nothing is written any more; empty while it is. */
  Optional<String> stopped() {
    return Optional.ofNullable(stopped);
  }

  private void run() {
    try {
      folder.open();
      boolean goOn = true;
      while (goOn) {
        goOn = !last; // what comes after this was asked for is not there yet
        more.drainPermits();
        since = System.nanoTime();
        writeAll();
        if (goOn) {
          more.acquireUninterruptibly();
        }
      }
    } catch (IOException | RuntimeException e) {
      stopped =
          "Prefixes are no longer written to %s: %s. Those that are there are still read."
              .formatted(folder.folder(), e.getMessage() == null ? e.toString() : e.getMessage());
    } finally {
      loop.settle(backlog::stop);
      loop.serve(); // nobody may wait for what is not written
    }
  }

  private void writeAll() throws IOException {
    for (PrefixBacklog.Block block = next(); block != null; block = next()) {
      PrefixBacklog.Block writing = block;
      boolean saved =
          folder.write(
              block.key(),
              block.parts(),
              block.exact(),
              (part, from, bytes, into, at) -> {
                rest();
                boolean copied = loop.settle(() -> writing.copy(part, from, bytes, into, at));
                since = System.nanoTime();
                return copied;
              });
      if (saved) {
        loop.settle(writing::saved);
      }
    }
    loop.serve(); // who waits for the memory of what is written now
    List<PrefixBacklog.Block> used = loop.settle(() -> backlog.used(folder));
    List<PrefixBacklog.Block> lost = used.stream().filter(b -> !folder.touch(b.key())).toList();
    loop.settle(() -> lost.forEach(PrefixBacklog.Block::lost));
  }

  private PrefixBacklog.@Nullable Block next() {
    rest();
    Optional<PrefixBacklog.Block> next =
        loop.settle(() -> Optional.ofNullable(backlog.next(folder)));
    since = System.nanoTime();
    return next.orElse(null);
  }

  private void rest() {
    if (loop.isComputing() && !last) {
      long busy = System.nanoTime() - since;
      LockSupport.parkNanos(Math.min((SHARE - 1) * busy, MOST_REST));
    }
  }

  /** Writes what is left, and ends; to be called when nothing comes any more. */
  void finish() {
    last = true;
    more.release();
    LockSupport.unpark(thread);
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
