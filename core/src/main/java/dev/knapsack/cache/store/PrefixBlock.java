package dev.knapsack.cache.store;

import dev.knapsack.cache.PrefixKey;
import dev.knapsack.cache.PrefixStore.Part;
import dev.knapsack.error.CacheFileException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.zip.CRC32C;

/** The file of a block of a prefix, as {@link CacheFormat} says. */
final class PrefixBlock {
  private static final int KEY_BYTES = 2 * PrefixKey.DIGEST;

  /**
   * The first bytes of one.
   *
   * @param arithmetic by which it was computed as a prompt that depends on no other; 0 where it was
   *     not
   */
  record Header(Set<Part> parts, long arithmetic) {}

  private PrefixBlock() {}

  /** Bytes of a file with these parts. */
  static long bytes(PrefixKey key, SortedMap<Part, Long> parts) {
    long content = KEY_BYTES + (long) key.tokens().length * Integer.BYTES;
    for (long bytes : parts.values()) {
      content += bytes;
    }
    return CacheFormat.HEADER
        + content
        + (2L + parts.size()) * (CacheFormat.FRAME + CacheFormat.CHECKSUM);
  }

  /**
   * Writes a file.
   *
   * @return whether all of it could be copied
   */
  static boolean write(
      Sink sink,
      PrefixKey key,
      SortedMap<Part, Long> parts,
      long arithmetic,
      PrefixFolder.Copy copy)
      throws IOException {
    int bits = 0;
    for (Part part : parts.keySet()) {
      bits |= CacheFormat.bit(part);
    }
    int[] tokens = key.tokens();
    sink.begin();
    sink.put(CacheFormat.MAGIC);
    sink.putInt(CacheFormat.BLOCK);
    sink.putInt(2 + parts.size());
    sink.putLong(bytes(key, parts));
    sink.putInt(tokens.length);
    sink.putInt(bits);
    sink.putLong(arithmetic);
    sink.put(new byte[CacheFormat.HEADER - CacheFormat.CHECKSUM - sink.position()]);
    sink.putChecksum();
    frame(sink, CacheFormat.KEY, KEY_BYTES);
    sink.put(key.digest());
    sink.put(key.before());
    sink.putChecksum();
    frame(sink, CacheFormat.TOKENS, (long) tokens.length * Integer.BYTES);
    for (int token : tokens) {
      sink.putInt(token);
    }
    sink.putChecksum();
    for (Map.Entry<Part, Long> part : parts.entrySet()) {
      frame(sink, CacheFormat.kind(part.getKey()), part.getValue());
      for (long at = 0; at < part.getValue(); ) {
        long n = Math.min(Math.min(part.getValue() - at, sink.records(1)), PrefixFolder.SLICE);
        if (!copy.copy(part.getKey(), at, n, sink.memory(), sink.position())) {
          return false;
        }
        sink.skip(n);
        at += n;
      }
      sink.putChecksum();
    }
    sink.flush();
    return true;
  }

  private static void frame(Sink sink, int kind, long bytes) throws IOException {
    sink.begin();
    sink.putInt(kind);
    sink.putInt(0);
    sink.putInt(0);
    sink.putInt(0);
    sink.putLong(bytes);
  }

  /**
   * Reads the first bytes alone.
   *
   * @throws CacheFileException if they are not those of a whole block
   */
  static Header header(Path file, FileChannel channel) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(CacheFormat.HEADER).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining() && channel.read(bytes) >= 0) {
      // to the end of the header, or of the file
    }
    boolean whole = !bytes.hasRemaining();
    CRC32C crc = new CRC32C();
    crc.update(bytes.array(), 0, CacheFormat.HEADER - CacheFormat.CHECKSUM);
    byte[] magic = Arrays.copyOf(bytes.array(), CacheFormat.MAGIC.length);
    bytes.flip().position(magic.length);
    if (!whole
        || !Arrays.equals(magic, CacheFormat.MAGIC)
        || bytes.getInt() != CacheFormat.BLOCK
        || bytes.getInt() < 0
        || bytes.getLong() != channel.size()
        || bytes.getInt() < 0
        || (int) crc.getValue() != bytes.getInt(CacheFormat.HEADER - CacheFormat.CHECKSUM)) {
      throw damaged(file, "its header is not that of a block of a prefix");
    }
    return new Header(parts(bytes.getInt()), bytes.getLong());
  }

  private static Set<Part> parts(int bits) {
    Set<Part> parts = EnumSet.noneOf(Part.class);
    for (Part part : Part.values()) {
      if ((bits & CacheFormat.bit(part)) != 0) {
        parts.add(part);
      }
    }
    return parts;
  }

  private static CacheFileException damaged(Path file, String what) {
    return new CacheFileException(
        file, CacheFileException.Problem.DAMAGED, "is damaged: " + what + ".");
  }

  /**
   * Reads parts of a file.
   *
   * @param into the pages of each
   * @throws CacheFileException if it is not whole, has not these parts, or is not of this key
   */
  static void read(
      Path file,
      FileChannel channel,
      SegmentAllocator memory,
      PrefixKey key,
      Map<Part, List<MemorySegment>> into)
      throws IOException {
    Header header = header(file, channel);
    if (!header.parts().containsAll(into.keySet())) {
      throw damaged(file, "it lacks a part");
    }
    Source source = new Source(file, channel.position(0), memory);
    source.beginHeader();
    source.next(CacheFormat.HEADER - CacheFormat.CHECKSUM);
    source.checkHeader(channel.size());
    int[] tokens = key.tokens();
    source.frame(CacheFormat.KEY, 0, 0, KEY_BYTES);
    boolean same = Arrays.equals(source.next(PrefixKey.DIGEST), key.digest());
    same &= Arrays.equals(source.next(PrefixKey.DIGEST), key.before());
    source.checkSection();
    source.frame(CacheFormat.TOKENS, 0, 0, (long) tokens.length * Integer.BYTES);
    for (int token : tokens) {
      same &= source.nextInt() == token;
    }
    source.checkSection();
    if (!same) {
      throw damaged(file, "it is of another block");
    }
    int left = into.size();
    for (Part part : header.parts()) {
      if (left > 0) {
        List<MemorySegment> pages = into.get(part);
        long bytes = pages == null ? -1 : pages.stream().mapToLong(MemorySegment::byteSize).sum();
        long content = source.frame(CacheFormat.kind(part), 0, 0, bytes);
        if (pages == null) {
          skip(source, content);
        } else {
          for (MemorySegment page : pages) {
            copy(source, page);
          }
          left--;
        }
        source.checkSection();
      }
    }
  }

  private static void skip(Source source, long bytes) throws IOException {
    for (long left = bytes; left > 0; ) {
      int n = source.records(1, (int) Math.min(left, Sink.PIECE));
      source.skip(n);
      left -= n;
    }
  }

  private static void copy(Source source, MemorySegment page) throws IOException {
    for (long at = 0; at < page.byteSize(); ) {
      int n = source.records(1, (int) Math.min(page.byteSize() - at, Sink.PIECE));
      MemorySegment.copy(source.memory(), source.position(), page, at, n);
      source.skip(n);
      at += n;
    }
  }
}
