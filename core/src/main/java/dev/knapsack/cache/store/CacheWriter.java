package dev.knapsack.cache.store;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.HeadForm;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.tensor.Format;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Writes a cache as {@link CacheFormat} says. */
final class CacheWriter {
  private final SequenceState state;
  private final int[] tokens;
  private final byte[][] fingerprint;
  private final CacheStore.Precision precision;

  CacheWriter(
      SequenceState state, int[] tokens, Fingerprint fingerprint, CacheStore.Precision precision) {
    if (tokens.length != state.length()) {
      throw new IllegalArgumentException(
          "%,d tokens were given, and the cache has %,d".formatted(tokens.length, state.length()));
    }
    this.state = state;
    this.tokens = tokens;
    this.precision = precision;
    this.fingerprint = bytes(fingerprint);
  }

  private static byte[][] bytes(Fingerprint f) {
    List<String> texts =
        List.of(f.model(), f.name(), f.shape(), f.formats(), f.recipe(), f.engine());
    return texts.stream().map(text -> text.getBytes(UTF_8)).toArray(byte[][]::new);
  }

  private long fingerprintBytes() {
    long bytes = 0;
    for (byte[] text : fingerprint) {
      bytes += Integer.BYTES + text.length;
    }
    return bytes;
  }

  /** Bytes that the file will have. */
  long length() {
    long length =
        CacheFormat.HEADER
            + (long) CacheFormat.sections(state) * (CacheFormat.FRAME + CacheFormat.CHECKSUM)
            + fingerprintBytes()
            + (long) tokens.length * Integer.BYTES;
    for (int l = 0; l < state.layout().layers().size(); l++) {
      for (int h = 0; h < state.layout().heads(l).kvHeads(); h++) {
        length += headBytes(state.kv().parts(l, h));
      }
      length += stateBytes(l);
    }
    return length;
  }

  private long stateBytes(int layer) {
    return state.layout().layers().get(layer).stateBytes();
  }

  private int[] compactTokens(List<KvPart> parts) {
    return CacheFormat.compactTokens(parts, precision, state.layout().pageTokens());
  }

  private long headBytes(List<KvPart> parts) {
    int[] compact = compactTokens(parts);
    long bytes = 0;
    for (int i = 0; i < compact.length; i++) {
      KvPart part = parts.get(i);
      bytes += CacheFormat.bytes(part, part.count(), compact[i], CacheFormat.flags(part));
    }
    return bytes;
  }

  void write(Sink sink) throws IOException {
    sink.begin();
    sink.put(CacheFormat.MAGIC);
    sink.putInt(CacheFormat.VERSION);
    sink.putInt(CacheFormat.sections(state));
    sink.putLong(length());
    sink.putInt(tokens.length);
    sink.put(new byte[CacheFormat.HEADER - CacheFormat.CHECKSUM - sink.position()]);
    sink.putChecksum();
    frame(sink, CacheFormat.FINGERPRINT, 0, 0, fingerprintBytes());
    for (byte[] text : fingerprint) {
      sink.putInt(text.length);
      sink.put(text);
    }
    sink.putChecksum();
    frame(sink, CacheFormat.TOKENS, 0, 0, (long) tokens.length * Integer.BYTES);
    for (int token : tokens) {
      sink.putInt(token);
    }
    sink.putChecksum();
    try (Arena arena = Arena.ofConfined()) {
      for (int l = 0; l < state.layout().layers().size(); l++) {
        for (int h = 0; h < state.layout().heads(l).kvHeads(); h++) {
          List<KvPart> parts = state.kv().parts(l, h);
          int[] compact = compactTokens(parts);
          frame(sink, CacheFormat.HEAD, l, h, headBytes(parts));
          for (int i = 0; i < compact.length; i++) {
            write(sink, parts.get(i), compact[i], arena);
          }
          sink.putChecksum();
        }
      }
    }
    for (int l = 0; l < state.layout().layers().size(); l++) {
      if (stateBytes(l) > 0) {
        frame(sink, CacheFormat.STATE, l, 0, stateBytes(l));
        write(sink, state.state(l));
        sink.putChecksum();
      }
    }
    sink.flush();
  }

  private static void write(Sink sink, MemorySegment numbers) throws IOException {
    for (long at = 0; at < numbers.byteSize(); ) {
      long n = Math.min(numbers.byteSize() - at, (long) sink.records(Float.BYTES) * Float.BYTES);
      MemorySegment.copy(numbers, at, sink.memory(), sink.position(), n);
      sink.skip(n);
      at += n;
    }
  }

  private static void frame(Sink sink, int kind, int layer, int head, long bytes)
      throws IOException {
    sink.begin();
    sink.putInt(kind);
    sink.putInt(layer);
    sink.putInt(head);
    sink.putInt(0);
    sink.putLong(bytes);
  }

  private static void write(Sink sink, KvPart part, int compact, Arena arena) throws IOException {
    int[] positions = part.positions();
    int[] channels = part.channels();
    sink.putInt(part.count());
    sink.putInt(part.start());
    sink.putInt(compact);
    sink.putInt(CacheFormat.flags(part));
    if (positions != null) {
      for (int position : positions) {
        sink.putInt(position);
      }
    }
    if (channels != null) {
      for (int channel : channels) {
        sink.putInt(channel);
      }
    }
    if (compact > 0) {
      Conversion conversion = Conversion.toCompact(part, arena);
      MemorySegment token = arena.allocate(part.form().tokenBytes(), 64);
      for (int i = 0; i < compact; i++) {
        sink.records(CacheFormat.compactBytes(part));
        part.read(i, 1, token, 0);
        conversion.convert(token, 0, sink.memory(), sink.position());
        sink.skip(CacheFormat.compactBytes(part));
      }
    }
    for (int i = compact; i < part.count(); ) {
      int n = Math.min(part.count() - i, sink.records(part.form().tokenBytes()));
      part.read(i, n, sink.memory(), sink.position());
      sink.skip(n * part.form().tokenBytes());
      i += n;
    }
  }

  /** Tokens from the form in which a part keeps them to the compact one, or back. */
  record Conversion(
      Format keyFrom,
      Format keyTo,
      int keySize,
      Format valueFrom,
      Format valueTo,
      int valueSize,
      MemorySegment floats) {
    static Conversion toCompact(KvPart part, Arena arena) {
      HeadForm form = part.form();
      return new Conversion(
          form.keyFormat(),
          CacheFormat.compact(form.keyFormat(), form.keySize()),
          form.keySize(),
          form.valueFormat(),
          CacheFormat.compact(form.valueFormat(), form.valueSize()),
          form.valueSize(),
          arena.allocate(4L * Math.max(form.keySize(), form.valueSize()), 64));
    }

    Conversion reversed() {
      return new Conversion(keyTo, keyFrom, keySize, valueTo, valueFrom, valueSize, floats);
    }

    void convert(MemorySegment source, long from, MemorySegment target, long to) {
      convert(keyFrom, keyTo, keySize, source, from, target, to);
      convert(
          valueFrom,
          valueTo,
          valueSize,
          source,
          from + keyFrom.bytes(keySize),
          target,
          to + keyTo.bytes(keySize));
    }

    private void convert(
        Format before,
        Format after,
        int size,
        MemorySegment source,
        long from,
        MemorySegment target,
        long to) {
      if (before.equals(after)) {
        MemorySegment.copy(source, from, target, to, before.bytes(size));
      } else {
        before.decode(source, from, floats, 0, size);
        after.encode(floats, 0, target, to, size);
      }
    }
  }
}
