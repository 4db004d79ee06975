package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.util.Objects;

/**
 * Checks that operands fit together, with messages that say how they do not.
 *
 * <p>Every provider calls these first, so that a wrong shape is an exception and never a wrong
 * result.
 */
public final class Shapes {
  private Shapes() {}

  public static void checkMatmul(Matrix w, Matrix x, Matrix out, int from, int to) {
    if (w.columns() != x.columns() || out.columns() != w.rows() || out.rows() != x.rows()) {
      throw new IllegalArgumentException(
          "Matrix product of weights %s and activations %s into %s: columns, rows or tokens differ"
              .formatted(size(w), size(x), size(out)));
    }
    if (!(x.format() instanceof Q8Activations)) {
      checkF32(x);
    }
    checkF32(out);
    checkRows(w, from, to);
  }

  /** Same shape, and rows {@code [from, to)} are there. */
  public static void checkSame(Matrix x, Matrix y, int from, int to) {
    if (x.columns() != y.columns() || to > y.rows()) {
      throw new IllegalArgumentException(
          "Rows %d to %d of %s and %s differ in shape".formatted(from, to, size(x), size(y)));
    }
    checkRows(x, from, to);
  }

  /** A state of as many rows as each of {@code rows} has numbers, of as many as a value has. */
  public static void checkState(float[] state, float[] value, float[] out, float[]... rows) {
    checkLengths(value.length, out);
    checkLengths(rows[0].length, rows);
    if (state.length != rows[0].length * value.length) {
      throw new IllegalArgumentException(
          "A state of %d numbers is not one of %d rows of %d"
              .formatted(state.length, rows[0].length, value.length));
    }
  }

  /** All of this length. */
  public static void checkLengths(int length, float[]... all) {
    for (float[] numbers : all) {
      if (numbers.length != length) {
        throw new IllegalArgumentException(
            "%d numbers where %d belong".formatted(numbers.length, length));
      }
    }
  }

  /** Rows of rates. */
  public static void checkDecay(float[] rate, float[] step, float[] out) {
    checkLengths(rate.length, out);
    if (rate.length % step.length != 0) {
      throw new IllegalArgumentException(
          "%d rates for steps in %d columns".formatted(rate.length, step.length));
    }
  }

  /** Taps for all channels, and room for so many rows. */
  public static void checkConvolution(
      float[] taps, float[] bias, float[] x, int rows, float[] out) {
    int channels = bias.length;
    if (taps.length == 0
        || taps.length % channels != 0
        || x.length < taps.length + (rows - 1) * channels
        || out.length < rows * channels) {
      throw new IllegalArgumentException(
          "%d rows of %d channels, of %d numbers into %d, with %d taps for all of them"
              .formatted(rows, channels, x.length, out.length, taps.length));
    }
  }

  public static void checkRows(Matrix x, int from, int to) {
    if (from < 0 || from > to || to > x.rows()) {
      throw new IndexOutOfBoundsException("Rows %d to %d of %s".formatted(from, to, size(x)));
    }
  }

  public static void checkF32(Matrix x) {
    if (x.format().ggufType() != 0) {
      throw new IllegalArgumentException(
          "Activations are F32 here, not " + x.format().name() + ": " + size(x));
    }
  }

  public static void checkGroups(Matrix x, int groupSize) {
    if (groupSize <= 0 || x.columns() % groupSize != 0) {
      throw new IllegalArgumentException(
          "%s has no whole number of groups of %d columns".formatted(size(x), groupSize));
    }
  }

  public static void checkRope(
      Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    checkRows(x, from, to);
    checkGroups(x, headSize);
    if (rope.dimensions() > headSize || to > positions.length) {
      throw new IllegalArgumentException(
          "RoPE over %d dimensions on heads of %d, rows up to %d with %d positions"
              .formatted(rope.dimensions(), headSize, to, positions.length));
    }
  }

  public static void checkAttention(
      AttentionShape shape, Matrix q, KvSpan[] spans, int kvHead, Matrix out, int from, int to) {
    checkRows(q, from, to);
    checkRows(out, from, to);
    if (shape.heads() % shape.kvHeads() != 0
        || q.columns() != shape.heads() * shape.keySize()
        || out.columns() != shape.heads() * shape.valueSize()
        || kvHead < 0
        || kvHead >= shape.kvHeads()) {
      throw new IllegalArgumentException(
          "Attention %s with queries %s, output %s, KV head %d"
              .formatted(shape, size(q), size(out), kvHead));
    }
    for (KvSpan span : spans) {
      check(shape, span);
    }
  }

  public static void checkPart(
      AttentionShape shape,
      Matrix q,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to) {
    checkAttention(shape, q, spans, kvHead, part.values(), from, to);
    checkRows(part.softmax(), from, to);
    if (part.softmax().columns() != shape.heads() * PartialAttention.STATE) {
      throw new IllegalArgumentException(
          "The softmax of %d heads in %s".formatted(shape.heads(), size(part.softmax())));
    }
  }

  public static void checkWeights(
      AttentionShape shape, Matrix q, KvSpan[] spans, int kvHead, Matrix out, int from, int to) {
    checkRows(q, from, to);
    int rows = (to - from) * (shape.heads() / shape.kvHeads());
    if (out.rows() != rows || out.columns() != KvSpan.length(spans)) {
      throw new IllegalArgumentException(
          "The attention weights of %d query rows and %d tokens in %s"
              .formatted(rows, KvSpan.length(spans), size(out)));
    }
    for (KvSpan span : spans) {
      check(shape, span);
    }
  }

  private static void check(AttentionShape shape, KvSpan span) {
    int inPage = span.heads() * (span.pageTokens() - 1) + 1;
    long keys = span.keyFormat().bytes(span.keySize(shape)) * inPage;
    long values = span.valueFormat().bytes(span.valueSize(shape)) * inPage;
    boolean inKeys = span.valuesAt() == KvSpan.IN_KEYS;
    if (inKeys && (!span.keyFormat().equals(span.valueFormat()) || values > keys)) {
      throw new IllegalArgumentException(
          "%d %s numbers of a value are no beginning of a key of %d %s numbers"
              .formatted(
                  span.valueSize(shape),
                  span.valueFormat().name(),
                  span.keySize(shape),
                  span.keyFormat().name()));
    }
    if (span.pages().length < Math.ceilDiv(span.length(), span.pageTokens())
        || (!inKeys && span.valuesAt() < keys)) {
      throw new IllegalArgumentException(
          "%,d cached tokens in %d pages of %d, whose %,d bytes of keys end before byte %,d"
              .formatted(
                  span.length(), span.pages().length, span.pageTokens(), keys, span.valuesAt()));
    }
    if (span.keys() != null) {
      span.keys().check(shape.keySize());
    }
    if (span.values() != null) {
      span.values().check(shape.valueSize());
    }
    int last = Math.ceilDiv(span.length(), span.pageTokens()) - 1;
    for (int p = 0; p <= last; p++) {
      Objects.checkFromIndexSize(
          span.pages()[p], inKeys ? keys : span.valuesAt() + values, span.memory().byteSize());
    }
  }

  private static String size(Matrix x) {
    return x.rows() + " × " + x.columns() + " " + x.format().name();
  }
}
