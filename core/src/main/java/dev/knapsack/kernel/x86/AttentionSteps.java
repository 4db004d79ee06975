package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Attention;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;

/** The inner loops of attention in machine code; plain Java for formats and sizes without code. */
final class AttentionSteps implements Attention.Steps {
  private static final String SCORES = "attention scores";
  private static final String SOFTMAX = "attention softmax";
  private static final String ADD_VALUES = "attention values";

  private final Code code;

  AttentionSteps(Code code) {
    this.code = code;
    for (Format format : Formats.all()) {
      byte[] decode = AttentionCode.decode(format.name());
      if (decode != null) {
        code.add(decode(format), decode);
      }
    }
    code.add(SCORES, AttentionCode.scores());
    code.add(SOFTMAX, AttentionCode.softmax());
    code.add(ADD_VALUES, AttentionCode.addValues());
  }

  private static String decode(Format format) {
    return "decode " + format.name();
  }

  private static boolean fits(int size) {
    return size % 8 == 0;
  }

  @Override
  public void decode(
      Format format, MemorySegment page, long offset, float[] memory, int at, int count) {
    MemorySegment scratch = MemorySegment.ofArray(memory);
    if (fits(count) && code.contains(decode(format))) {
      code.call(decode(format), scratch, page, bytes(at), offset, count, 0);
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
      code.call(SCORES, scratch, scratch, bytes(query), bytes(keys), bytes(size), count);
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
    code.call(SOFTMAX, scratch, scratch, bytes(state), 0, 0, 0);
  }

  @Override
  public void addValues(float[] memory, int result, float decay, int values, int size, int count) {
    if (fits(size)) {
      MemorySegment scratch = MemorySegment.ofArray(memory);
      long decayAndCount = (long) Float.floatToRawIntBits(decay) << 32 | count;
      code.call(
          ADD_VALUES, scratch, scratch, bytes(result), bytes(values), bytes(size), decayAndCount);
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
