package dev.knapsack.file;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A file open for reading at any position, which notices when someone changes it. */
final class OpenFile implements HeaderInput.Source, AutoCloseable {
  private static final int MOST_AT_ONCE = 1 << 30;

  private final Path path;
  private final FileChannel channel;
  private final Stamp opened;

  /** What the file system says of a file; another key is another file under the same name. */
  private record Stamp(long size, FileTime modified, @Nullable Object key) {
    static Stamp of(Path path) throws IOException {
      BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
      return new Stamp(attributes.size(), attributes.lastModifiedTime(), attributes.fileKey());
    }
  }

  private OpenFile(Path path, FileChannel channel, Stamp opened) {
    this.path = path;
    this.channel = channel;
    this.opened = opened;
  }

  static OpenFile open(Path path) {
    try {
      Stamp stamp = Stamp.of(path);
      return new OpenFile(path, FileChannel.open(path, StandardOpenOption.READ), stamp);
    } catch (NoSuchFileException e) {
      throw new ModelFileException(path, "file", "there is no such file", e);
    } catch (IOException e) {
      throw new ModelFileException(path, "file", "cannot be opened: " + e, e);
    }
  }

  Path path() {
    return path;
  }

  /** Bytes in the file when it was opened. */
  @Override
  public long size() {
    return opened.size;
  }

  @Override
  public int read(ByteBuffer into, long position) throws IOException {
    return channel.read(into, position);
  }

  /** Fills {@code into} with the bytes from {@code position} on, for the sake of {@code field}. */
  void read(String field, long position, MemorySegment into) {
    try {
      for (long done = 0; done < into.byteSize(); ) {
        long length = Math.min(MOST_AT_ONCE, into.byteSize() - done);
        int read = channel.read(into.asSlice(done, length).asByteBuffer(), position + done);
        if (read < 0) {
          checkUnchanged(field);
          throw new ModelFileException(
              path, field, "the file ends early, at byte " + (position + done));
        }
        done += read;
      }
      checkUnchanged(field);
    } catch (IOException e) {
      throw new ModelFileException(path, field, "cannot be read: " + e, e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new ModelFileException(path, "file", "cannot be closed: " + e, e);
    }
  }

  /**
   * Checked after each read, so that bytes which were changed before or during it are never used. A
   * file that was deleted or replaced by another is still whole under the open descriptor.
   */
  private void checkUnchanged(String field) throws IOException {
    Stamp now;
    try {
      now = Stamp.of(path);
    } catch (NoSuchFileException e) {
      return;
    }
    if (Objects.equals(now.key, opened.key) && !now.equals(opened)) {
      throw new ModelFileException(
          path,
          field,
          "the file was changed while it was open (%,d bytes of %s became %,d bytes of %s); open it again"
              .formatted(opened.size, opened.modified, now.size, now.modified));
    }
  }
}
