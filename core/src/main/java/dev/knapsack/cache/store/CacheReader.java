package dev.knapsack.cache.store;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.Arrays;

/** Reads a cache as {@link CacheFormat} says, and believes nothing before its checksum is right. */
final class CacheReader {
  private static final int MOST_FINGERPRINT = 1 << 16;

  private final Path file;
  private final Source source;

  CacheReader(Path file, FileChannel channel, Arena arena) throws IOException {
    this.file = file;
    this.source = new Source(file, channel, arena);
  }

  /** The counts that the header gives. */
  private record Header(int sections, int tokens) {}

  /** Reads what the cache was computed with. */
  Fingerprint fingerprint() throws IOException {
    header();
    return readFingerprint();
  }

  /**
   * Fills an empty cache; of one that throws, the caller throws away what came.
   *
   * @param capacity tokens that the sequence may have
   * @param vocabulary token ids are below it
   * @return the tokens
   */
  int[] read(Fingerprint expected, int capacity, int vocabulary, SequenceState state)
      throws IOException {
    Header header = header();
    check(readFingerprint(), expected);
    if (header.sections() != CacheFormat.sections(state)) {
      throw source.damaged("says %,d sections".formatted(header.sections()));
    }
    if (header.tokens() > capacity) {
      throw new CacheFileException(
          file,
          Problem.TOO_LONG,
          "holds %,d tokens, and a sequence may have %,d here; a context of %,d tokens restores it."
              .formatted(header.tokens(), capacity, header.tokens() + 1));
    }
    source.frame(CacheFormat.TOKENS, 0, 0, (long) header.tokens() * Integer.BYTES);
    int[] tokens = new int[header.tokens()];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = source.nextInt();
    }
    source.checkSection();
    if (Arrays.stream(tokens).anyMatch(token -> token < 0 || token >= vocabulary)) {
      throw source.damaged("has tokens that the vocabulary of %,d has not".formatted(vocabulary));
    }
    try (Arena arena = Arena.ofConfined()) {
      for (int l = 0; l < state.layout().layers().size(); l++) {
        int keySize = state.layout().heads(l).keySize();
        for (int h = 0; h < state.layout().heads(l).kvHeads(); h++) {
          source.frame(CacheFormat.HEAD, l, h, -1);
          for (KvPart part : state.kv().parts(l, h)) {
            read(part, keySize, tokens.length, arena);
          }
          source.checkSection();
        }
      }
    }
    for (int l = 0; l < state.layout().layers().size(); l++) {
      long bytes = state.layout().layers().get(l).stateBytes();
      if (bytes > 0) {
        source.frame(CacheFormat.STATE, l, 0, bytes);
        read(state.next(l));
        source.checkSection();
      }
    }
    source.checkEnd();
    try {
      state.restored(tokens.length);
    } catch (IllegalArgumentException e) {
      throw source.damaged("has heads with other tokens than the sequence");
    }
    return tokens;
  }

  private void read(MemorySegment numbers) throws IOException {
    int left = Math.toIntExact(numbers.byteSize() / Float.BYTES);
    while (left > 0) {
      int n = source.records(Float.BYTES, left);
      long at = numbers.byteSize() - (long) left * Float.BYTES;
      MemorySegment.copy(source.memory(), source.position(), numbers, at, (long) n * Float.BYTES);
      source.skip((long) n * Float.BYTES);
      left -= n;
    }
  }

  private Header header() throws IOException {
    source.beginHeader();
    byte[] magic = source.next(CacheFormat.MAGIC.length);
    if (!Arrays.equals(magic, CacheFormat.MAGIC)) {
      throw new CacheFileException(
          file, Problem.NOT_A_CACHE, "is no cache that Knapsack has saved.");
    }
    int version = source.nextInt();
    if (version != CacheFormat.VERSION) {
      throw new CacheFileException(
          file,
          Problem.VERSION,
          "is a saved cache of version %s, and this Knapsack reads version %d; the one that saved it restores it."
              .formatted(Integer.toUnsignedString(version), CacheFormat.VERSION));
    }
    int sections = source.nextInt();
    long length = source.nextLong();
    int tokens = source.nextInt();
    source.next(CacheFormat.HEADER - CacheFormat.CHECKSUM - 28);
    source.checkHeader(length);
    if (tokens < 0) {
      throw source.damaged("says %,d tokens".formatted(tokens));
    }
    return new Header(sections, tokens);
  }

  private Fingerprint readFingerprint() throws IOException {
    long bytes = source.frame(CacheFormat.FINGERPRINT, 0, 0, -1);
    if (bytes < 0 || bytes > MOST_FINGERPRINT) {
      throw source.damaged("has a fingerprint of %,d bytes".formatted(bytes));
    }
    ByteBuffer content = ByteBuffer.wrap(source.next((int) bytes)).order(ByteOrder.LITTLE_ENDIAN);
    source.checkSection();
    String[] texts = new String[6];
    for (int i = 0; i < texts.length; i++) {
      int n = content.remaining() < Integer.BYTES ? -1 : content.getInt();
      if (n < 0 || n > content.remaining()) {
        throw source.damaged("has a fingerprint that ends early");
      }
      texts[i] = text(content.slice(content.position(), n));
      content.position(content.position() + n);
    }
    return new Fingerprint(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5]);
  }

  private String text(ByteBuffer bytes) {
    try {
      return UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw source.damaged("has a fingerprint that is no text");
    }
  }

  private void check(Fingerprint found, Fingerprint expected) {
    if (!found.model().equals(expected.model())) {
      throw refused(
          Problem.MODEL,
          "is a cache of the model %s (%s), not of %s (%s); it is restored with that model."
              .formatted(found.name(), found.model(), expected.name(), expected.model()));
    }
    if (!found.engine().equals(expected.engine())) {
      throw refused(
          Problem.ENGINE,
          "was computed by version %s of the engine, and this is version %s; that one restores it."
              .formatted(found.engine(), expected.engine()));
    }
    if (!found.recipe().equals(expected.recipe())) {
      throw refused(
          Problem.RECIPE,
          "keeps tokens by the recipe '%s', not '%s'; it is restored with that recipe."
              .formatted(found.recipe(), expected.recipe()));
    }
    if (!found.formats().equals(expected.formats())) {
      throw refused(
          Problem.FORMATS,
          "is of a cache in %s, not in %s; it is restored with those formats."
              .formatted(found.formats(), expected.formats()));
    }
    if (!found.shape().equals(expected.shape())) {
      throw refused(
          Problem.SHAPE,
          "was computed with other layers, heads or rotary angles (%s, not %s); it is restored with the context length it was saved with."
              .formatted(found.shape(), expected.shape()));
    }
  }

  private CacheFileException refused(Problem problem, String message) {
    return new CacheFileException(file, problem, message);
  }

  private void read(KvPart part, int keySize, int length, Arena arena) throws IOException {
    int count = source.nextInt();
    int start = source.nextInt();
    int compact = source.nextInt();
    int flags = source.nextInt();
    boolean gaps = (flags & CacheFormat.GAPS) != 0;
    // All that follows is bounded by what these say, and these by what there is.
    if (count < 0
        || count > Math.min(length, part.most())
        || compact < 0
        || compact > count
        || start < 0
        || start > length
        || (flags & ~(CacheFormat.GAPS | CacheFormat.CHANNELS)) != 0
        || (!gaps && start > length - count)) {
      throw source.damaged(
          "says %,d tokens from %,d on, %,d of them compact, of a sequence of %,d"
              .formatted(count, start, compact, length));
    }
    source.checkRoom(CacheFormat.bytes(part, count, compact, flags) - CacheFormat.PART);
    int[] positions = null;
    if (gaps) {
      positions = new int[count];
      int before = -1;
      for (int i = 0; i < count; i++) {
        positions[i] = source.nextInt();
        if (positions[i] <= before || positions[i] >= length) {
          throw source.damaged("has tokens that do not follow one another");
        }
        before = positions[i];
      }
    }
    if ((flags & CacheFormat.CHANNELS) != 0) {
      int[] channels = new int[part.form().keySize()];
      for (int i = 0; i < channels.length; i++) {
        channels[i] = source.nextInt();
      }
      try {
        part.channels(channels, keySize);
      } catch (IllegalArgumentException e) {
        throw source.damaged("has channels of keys that do not follow one another");
      }
    }
    try {
      part.reserve(count, start, positions);
    } catch (IllegalArgumentException e) {
      throw source.damaged("has gaps between tokens, where none are forgotten");
    }
    if (compact > 0) {
      CacheWriter.Conversion conversion = CacheWriter.Conversion.toCompact(part, arena).reversed();
      MemorySegment token = arena.allocate(part.form().tokenBytes(), 64);
      long bytes = CacheFormat.compactBytes(part);
      for (int i = 0; i < compact; i++) {
        source.records(bytes, 1);
        conversion.convert(source.memory(), source.position(), token, 0);
        source.skip(bytes);
        part.add(1, token, 0);
      }
    }
    for (int left = count - compact; left > 0; ) {
      int n = source.records(part.form().tokenBytes(), left);
      part.add(n, source.memory(), source.position());
      source.skip(n * part.form().tokenBytes());
      left -= n;
    }
  }
}
