package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.ChunkedAttention;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** The inner loops of attention in machine code; plain Java for formats and sizes without code. */
final class AttentionSteps implements ChunkedAttention.Steps {
  /** The code for pages of a format. */
  private record Page(PageCode page, Code decode, Code scores, Code addValues) {
    Page(PageCode page, Code.Loader loader) {
      this(
          page,
          loader.load(AttentionCode.decode(page)),
          loader.load(AttentionCode.scores(page)),
          loader.load(AttentionCode.addValues(page)));
    }

    boolean fits(int size) {
      return size > 0 && size % (8 * page.vectors()) == 0;
    }

    long bytes(int size) {
      return (long) size / 8 / page.vectors() * page.bytes();
    }
  }

  private final Code.Loader loader;
  private final Page floats;
  private final Code softmax;

  /** The code of formats that have been met. */
  private final Map<Format, Page> pages = new ConcurrentHashMap<>();

  AttentionSteps(Code.Loader loader) {
    this.loader = loader;
    floats = new Page(PageCode.FLOATS, loader);
    softmax = loader.load(AttentionCode.softmax());
    pages.put(Formats.F32, floats);
  }

  private @Nullable Page page(Format format) {
    Page known = pages.get(format);
    if (known != null) {
      return known;
    }
    PageCode code = PageCode.of(format.name());
    return code == null ? null : pages.computeIfAbsent(format, f -> new Page(code, loader));
  }

  @Override
  public void decode(
      Format format, MemorySegment page, long offset, Scratch scratch, int at, int count) {
    Objects.checkFromIndexSize(at, count, scratch.floats().length);
    Page code = page(format);
    if (code != null && code.fits(count)) {
      Objects.checkFromIndexSize(offset, code.bytes(count), page.byteSize());
      code.decode.call(scratch.segment(), page, MemorySegment.NULL, bytes(at), offset, count, 0);
    } else {
      format.decode(page, offset, scratch.segment(), bytes(at), count);
    }
  }

  private static long bytes(int floats) {
    return (long) floats * Float.BYTES;
  }

  private static void checkGroup(Scratch scratch, int at, int size, int count) {
    Objects.checkFromIndexSize(0, count, ChunkedAttention.CHUNK);
    Objects.checkFromIndexSize(
        0, ChunkedAttention.CHUNK * ChunkedAttention.QUERIES, scratch.floats().length);
    Objects.checkFromIndexSize(at, ChunkedAttention.QUERIES * size, scratch.floats().length);
  }

  @Override
  public void scores(Scratch scratch, int queries, int live, int keys, int size, int count) {
    if (floats.fits(size)) {
      long stride = bytes(size);
      scores(floats, scratch.segment(), bytes(keys), stride, scratch, queries, size, count);
      return;
    }
    float[] memory = scratch.floats();
    for (int t = 0; t < count; t++) {
      for (int i = 0; i < ChunkedAttention.QUERIES; i++) {
        float sum = 0;
        for (int c = 0; c < size; c++) {
          sum = Math.fma(memory[queries + i * size + c], memory[keys + t * size + c], sum);
        }
        memory[t * ChunkedAttention.QUERIES + i] = sum;
      }
    }
  }

  @Override
  public boolean storedScores(
      Format format,
      MemorySegment page,
      long offset,
      long stride,
      Scratch scratch,
      int queries,
      int size,
      int count) {
    Page code = page(format);
    if (code == null || !code.fits(size)) {
      return false;
    }
    scores(code, page, offset, stride, scratch, queries, size, count);
    return true;
  }

  private static void scores(
      Page code,
      MemorySegment keys,
      long offset,
      long stride,
      Scratch scratch,
      int queries,
      int size,
      int count) {
    checkGroup(scratch, queries, size, count);
    Objects.checkFromIndexSize(offset, (count - 1) * stride + code.bytes(size), keys.byteSize());
    code.scores.call(
        scratch.segment(),
        keys,
        MemorySegment.NULL,
        bytes(queries),
        offset,
        bytes(size),
        stride << 32 | count);
  }

  @Override
  public void softCap(Scratch scratch, float cap, int count) {
    float[] memory = scratch.floats();
    for (int i = 0; i < count * ChunkedAttention.QUERIES; i++) {
      memory[i] = (float) (cap * Math.tanh(memory[i] / cap));
    }
  }

  @Override
  public void softmax(Scratch scratch, int results, int count) {
    checkGroup(scratch, results + ChunkedAttention.MAX, 3, count);
    int vectors = count * ChunkedAttention.QUERIES / 8;
    softmax.call(
        scratch.segment(), MemorySegment.NULL, MemorySegment.NULL, bytes(results), vectors, 0, 0);
  }

  @Override
  public void addValues(Scratch scratch, int results, int live, int values, int size, int count) {
    if (floats.fits(size)) {
      addValues(
          floats, scratch.segment(), bytes(values), bytes(size), scratch, results, size, count);
      return;
    }
    float[] memory = scratch.floats();
    for (int i = 0; i < ChunkedAttention.QUERIES; i++) {
      float decay = memory[results + ChunkedAttention.DECAY + i];
      for (int c = 0; c < size; c++) {
        float sum = memory[results + i * size + c] * decay;
        for (int t = 0; t < count; t++) {
          float weight = memory[t * ChunkedAttention.QUERIES + i];
          sum = Math.fma(weight, memory[values + t * size + c], sum);
        }
        memory[results + i * size + c] = sum;
      }
    }
  }

  @Override
  public boolean addStoredValues(
      Format format,
      MemorySegment page,
      long offset,
      long stride,
      Scratch scratch,
      int results,
      int size,
      int count) {
    Page code = page(format);
    if (code == null || !code.fits(size)) {
      return false;
    }
    addValues(code, page, offset, stride, scratch, results, size, count);
    return true;
  }

  private static void addValues(
      Page code,
      MemorySegment values,
      long offset,
      long stride,
      Scratch scratch,
      int results,
      int size,
      int count) {
    checkGroup(scratch, results, size, count);
    Objects.checkFromIndexSize(offset, (count - 1) * stride + code.bytes(size), values.byteSize());
    code.addValues.call(
        scratch.segment(),
        values,
        MemorySegment.NULL,
        bytes(results),
        offset,
        bytes(size),
        stride << 32 | count);
  }
}
