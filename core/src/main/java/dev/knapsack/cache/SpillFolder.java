package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.os.DirectFile;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * The folder in which sequences keep the tokens that memory has no room for, and the thread that
 * moves them.
 *
 * <p>Files have no names: whatever ends the process, nothing of them is left.
 */
final class SpillFolder implements AutoCloseable {
  /** File systems whose files are in memory. */
  private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs");

  /** Opens files; tests put in one that is full. */
  interface Disk {
    FileChannel open(Path folder) throws IOException;

    /** Bytes that are free. */
    default long free(Path folder) throws IOException {
      return Files.getFileStore(folder).getUsableSpace();
    }
  }

  private final Path folder;
  private final Disk disk;

  // Guarded by this.
  private final Set<FileChannel> open = new HashSet<>();
  private long promised;

  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("knapsack-spill").daemon().factory());

  /**
   * @param folder is made if it is not there
   * @throws SpillException if it cannot be, or lies in memory itself
   */
  SpillFolder(Path folder) {
    this(folder, SpillFolder::unnamed);
  }

  SpillFolder(Path folder, Disk disk) {
    this.folder = folder;
    this.disk = disk;
    try {
      Files.createDirectories(folder);
      String type = Files.getFileStore(folder).type();
      if (IN_MEMORY.contains(type)) {
        throw new SpillException(folder, "it lies in memory itself (%s)".formatted(type));
      }
    } catch (IOException e) {
      throw new SpillException(folder, e);
    }
  }

  /**
   * Refuses what the disk has no room for now, beside all that is promised and not yet written.
   *
   * @throws SpillException if there is less free than this
   */
  synchronized void checkRoom(long bytes) {
    try {
      long written = 0;
      for (FileChannel file : open) {
        written += file.size();
      }
      long free = disk.free(folder) - Math.max(0, promised - written);
      if (free < bytes) {
        throw new SpillException(
            folder,
            "%,d bytes are needed and %,d are free%s"
                .formatted(
                    bytes,
                    Math.max(0, free),
                    promised > 0 ? ", beside what others have been promised" : ""));
      }
    } catch (IOException e) {
      throw new SpillException(folder, e);
    }
  }

  /**
   * Keeps room for bytes that are to be written, until they are {@linkplain #giveBack given back}.
   *
   * @throws SpillException if there is less free than this
   */
  synchronized void promise(long bytes) {
    checkRoom(bytes);
    promised += bytes;
  }

  synchronized void giveBack(long bytes) {
    promised -= bytes;
  }

  /** A new file. */
  FileChannel open() {
    try {
      FileChannel file = disk.open(folder);
      synchronized (this) {
        open.add(file);
      }
      return file;
    } catch (IOException e) {
      throw new SpillException(folder, e);
    }
  }

  /** Closes a file: nothing is left of it. */
  void close(FileChannel file) {
    synchronized (this) {
      open.remove(file);
    }
    try {
      file.close();
    } catch (IOException e) {
      throw new SpillException(folder, e);
    }
  }

  /**
   * A new file without a name, read and written past the page cache where the file system allows
   * that.
   */
  private static FileChannel unnamed(Path folder) throws IOException {
    Path name = Files.createTempFile(folder, "kv-", ".spill");
    StandardOpenOption[] both = {StandardOpenOption.READ, StandardOpenOption.WRITE};
    try {
      Optional<FileChannel> direct = DirectFile.channel(name, both);
      return direct.isPresent() ? direct.get() : FileChannel.open(name, both);
    } finally {
      Files.delete(name);
    }
  }

  /**
   * Bytes that are read or written.
   *
   * @param at where they are in the file
   */
  record Move(ByteBuffer memory, long at) {}

  /** Begins to read or to write; moves follow one another in the order in which they are begun. */
  CompletableFuture<Void> move(FileChannel file, List<Move> moves, boolean write) {
    return CompletableFuture.runAsync(
        () -> {
          for (Move move : moves) {
            transfer(file, move.memory(), move.at(), write);
          }
        },
        thread);
  }

  private void transfer(FileChannel file, ByteBuffer memory, long at, boolean write) {
    try {
      while (memory.hasRemaining()) {
        long next = at + memory.position();
        if ((write ? file.write(memory, next) : file.read(memory, next)) < 0) {
          throw new EOFException("the file ends before byte %,d".formatted(next));
        }
      }
    } catch (IOException e) {
      throw new SpillException(folder, e);
    }
  }

  /**
   * Waits for the end of a move.
   *
   * @throws SpillException if it failed
   */
  static void await(CompletableFuture<Void> move) {
    try {
      move.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException problem -> throw problem;
        case Error error -> throw error;
        case null, default -> throw e;
      }
    }
  }

  /** Waits for the end of a move, however it ends. */
  static void settle(CompletableFuture<Void> move) {
    move.handle((done, problem) -> Future.State.SUCCESS).join();
  }

  @Override
  public void close() {
    thread.shutdown();
    try {
      // What is under way moves bytes of buffers that are about to go.
      thread.awaitTermination(1, TimeUnit.DAYS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
