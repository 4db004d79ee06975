package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Attention;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/** The inner loops of attention in machine code; plain Java for formats and sizes without code. */
final class AttentionSteps implements Attention.Steps {
  private final Code scores = new Code(AttentionCode.scores());
  private final Code softmax = new Code(AttentionCode.softmax());
  private final Code addValues = new Code(AttentionCode.addValues());
  private final Map<Format, Code> decoders = new HashMap<>();

  AttentionSteps() {
    for (Format format : Formats.all()) {
      byte[] decoder = AttentionCode.decode(format.name());
      if (decoder != null) {
        decoders.put(format, new Code(decoder));
      }
    }
  }

  private static boolean fits(int size) {
    return size > 0 && size % 8 == 0;
  }

  @Override
  public void decode(
      Format format, MemorySegment page, long offset, float[] memory, int at, int count) {
    MemorySegment scratch = MemorySegment.ofArray(memory);
    Code decoder = decoders.get(format);
    if (decoder != null && fits(count)) {
      decoder.call(scratch, page, MemorySegment.NULL, bytes(at), offset, count, 0);
    } else {
      format.decode(page, offset, scratch, bytes(at), count);
    }
  }

  private static long bytes(int floats) {
    return (long) floats * Float.BYTES;
  }

  @Override
  public void scores(float[] memory, int query, int keys, int size, int count) {
    if (fits(size)) {
      MemorySegment scratch = MemorySegment.ofArray(memory);
      scores.call(
          scratch,
          MemorySegment.NULL,
          MemorySegment.NULL,
          bytes(query),
          bytes(keys),
          bytes(size),
          count);
      return;
    }
    for (int i = 0; i < count; i++) {
      float sum = 0;
      for (int c = 0; c < size; c++) {
        sum = Math.fma(memory[query + c], memory[keys + i * size + c], sum);
      }
      memory[i] = sum;
    }
  }

  @Override
  public void softCap(float[] memory, float cap) {
    for (int i = 0; i < Attention.CHUNK; i++) {
      memory[i] = (float) (cap * Math.tanh(memory[i] / cap));
    }
  }

  @Override
  public void softmax(float[] memory, int state) {
    MemorySegment scratch = MemorySegment.ofArray(memory);
    softmax.call(scratch, MemorySegment.NULL, MemorySegment.NULL, bytes(state), 0, 0, 0);
  }

  @Override
  public void addValues(float[] memory, int result, float decay, int values, int size, int count) {
    if (fits(size)) {
      MemorySegment scratch = MemorySegment.ofArray(memory);
      long decayAndCount = (long) Float.floatToRawIntBits(decay) << 32 | count;
      addValues.call(
          scratch,
          MemorySegment.NULL,
          MemorySegment.NULL,
          bytes(result),
          bytes(values),
          bytes(size),
          decayAndCount);
      return;
    }
    for (int c = 0; c < size; c++) {
      float sum = memory[result + c] * decay;
      for (int i = 0; i < count; i++) {
        sum = Math.fma(memory[i], memory[values + i * size + c], sum);
      }
      memory[result + c] = sum;
    }
  }
}
