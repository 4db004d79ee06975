package dev.knapsack.cache.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;

/** A disk with room for so many bytes, which it may say only when they have been written. */
public final class FullDisk implements Disk {
  private final long room;
  private final boolean says;
  private long used;
  private boolean failed;

  FullDisk(long room, boolean says) {
    this.room = room;
    this.says = says;
  }

  /** A store for tests of other rooms, of which no file has room for more than so many bytes. */
  public static CacheStore store(Path directory, long most, long room) {
    return new CacheStore(directory, most, new FullDisk(room, false));
  }

  @Override
  public FileChannel create(Path file) throws IOException {
    used = 0;
    return new Channel(Disk.OF_THIS_MACHINE.create(file));
  }

  @Override
  public long free(Path directory) {
    return says || failed ? room - used : Long.MAX_VALUE;
  }

  /** Writes as many bytes as there is room for, and then fails as Linux does. */
  private final class Channel extends FileChannel {
    private final FileChannel file;

    Channel(FileChannel file) {
      this.file = file;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      int n = (int) Math.min(source.remaining(), room - used);
      if (n == 0 && source.hasRemaining()) {
        failed = true;
        throw new IOException("No space left on device");
      }
      file.write(source.slice(source.position(), n));
      source.position(source.position() + n);
      used += n;
      return n;
    }

    @Override
    public void force(boolean metadata) throws IOException {
      file.force(metadata);
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return file.lock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      file.close();
    }

    @Override
    public int read(ByteBuffer target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long read(ByteBuffer[] targets, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long write(ByteBuffer[] sources, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long position() {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel position(long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long size() {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel truncate(long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int read(ByteBuffer target, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer source, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      return file.tryLock(position, size, shared);
    }
  }
}
