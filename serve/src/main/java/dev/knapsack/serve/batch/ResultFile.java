package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A file that results are added to, a line each, which are on the disk when the call returns. What
 * a process that was killed has left of a line is cut off when the file is opened again. There is
 * no file before the first result. Safe for use by many threads.
 */
final class ResultFile implements AutoCloseable {
  private final Path path;
  private final Set<String> ids;
  private final ReentrantLock writing = new ReentrantLock();
  private @Nullable FileChannel channel;

  private ResultFile(Path path, Set<String> ids) {
    this.path = path;
    this.ids = ids;
  }

  /**
   * Opens a file, or what will be one.
   *
   * @throws BatchFileException if a line is no result, or another process adds to the file
   */
  static ResultFile open(Path path) throws IOException {
    Set<String> ids = new LinkedHashSet<>();
    ResultFile file = new ResultFile(path, ids);
    if (Files.exists(path)) {
      FileChannel channel = file.channel();
      try (RequestFile.Lines lines = new RequestFile.Lines(path)) {
        for (byte[] line = lines.next(); line != null; line = lines.next()) {
          if (lines.isWhole()) {
            ids.add(RequestFile.id(path, lines.number(), new String(line, StandardCharsets.UTF_8)));
          } else {
            channel.truncate(lines.offset());
          }
        }
      } catch (IOException e) {
        file.close();
        throw e;
      }
    }
    return file;
  }

  private FileChannel channel() throws IOException {
    FileChannel open = channel;
    if (open == null) {
      open = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (!locked(open)) {
        open.close();
        throw new BatchFileException(0, path + ": is being written by another batch");
      }
      channel = open;
    }
    return open;
  }

  private static boolean locked(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  /** The ids of the results that it had when it was opened. */
  Set<String> ids() {
    return ids;
  }

  /** Adds a result. */
  void add(JsonObject result) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((result + "\n").getBytes(StandardCharsets.UTF_8));
    writing.lock();
    try {
      FileChannel to = channel();
      long end = to.size();
      try {
        while (bytes.hasRemaining()) {
          to.write(bytes, end + bytes.position());
        }
        to.force(false);
      } catch (IOException e) {
        to.truncate(end); // the next result is not to begin in the middle of this one
        throw e;
      }
    } finally {
      writing.unlock();
    }
  }

  @Override
  public void close() throws IOException {
    writing.lock();
    try {
      if (channel != null) {
        channel.close();
      }
    } finally {
      writing.unlock();
    }
  }
}
