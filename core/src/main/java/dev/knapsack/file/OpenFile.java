package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.os.DirectFile;
import dev.knapsack.os.FileChangedException;
import dev.knapsack.os.FileTruncatedException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Function;

/** A model's file, open for direct reads; failures become {@link ModelFileException}. */
final class OpenFile implements AutoCloseable {
  private final DirectFile file;

  private OpenFile(DirectFile file) {
    this.file = file;
  }

  static OpenFile open(Path path) {
    try {
      if (Files.exists(path) && !Files.isRegularFile(path)) {
        throw new ModelFileException(path, "file", "is not a regular file");
      }
      return new OpenFile(DirectFile.open(path));
    } catch (NoSuchFileException e) {
      throw new ModelFileException(path, "file", "there is no such file", e);
    } catch (IOException e) {
      throw new ModelFileException(path, "file", "cannot be opened: " + e, e);
    }
  }

  Path path() {
    return file.path();
  }

  /** Bytes of the file. */
  long size() {
    return file.size();
  }

  /** Parses what stands at the front of the file. */
  <T> T header(Function<HeaderInput.Source, T> parse) {
    try (FileChannel channel = FileChannel.open(path(), StandardOpenOption.READ)) {
      return parse.apply(
          new HeaderInput.Source() {
            @Override
            public long size() {
              return file.size();
            }

            @Override
            public int read(ByteBuffer into, long position) throws IOException {
              return channel.read(into, position);
            }
          });
    } catch (IOException e) {
      throw new ModelFileException(path(), "header", "cannot be read: " + e, e);
    }
  }

  /**
   * Fills {@code into} with the bytes from {@code position} on, for the sake of {@code field}.
   *
   * <p>That the file is unchanged is checked after the read, so that bytes which were changed
   * before or during it are never used.
   */
  void read(String field, long position, MemorySegment into) {
    try {
      try {
        file.read(position, into);
      } finally {
        file.checkUnchanged();
      }
    } catch (FileChangedException e) {
      throw new ModelFileException(
          path(), field, "the file changed while it was open; open it again: " + e.getMessage(), e);
    } catch (FileTruncatedException e) {
      throw new ModelFileException(path(), field, "the file ends early: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new ModelFileException(path(), field, "cannot be read: " + e, e);
    }
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new ModelFileException(path(), "file", "cannot be closed: " + e, e);
    }
  }
}
