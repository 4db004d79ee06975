package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Xielu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Operations on runs of float32 numbers; what is left over after whole vectors is done in place.
 */
final class Elementwise {
  private static final float GELU_SCALE = 1.5957692f; // 2 √(2/π)
  private static final float GELU_CUBE = 4.4715e-2f;

  private Elementwise() {}

  static void scale(MemorySegment x, long at, int n, float factor) {
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      Lanes.store(Lanes.load(x, at + 4L * i).mul(factor), x, at + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      Lanes.put(x, at + 4L * i, Lanes.get(x, at + 4L * i) * factor);
    }
  }

  /** {@code x += factor · y}. */
  static void add(MemorySegment x, long at, MemorySegment y, long yAt, int n, float factor) {
    FloatVector f = Lanes.broadcast(factor);
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      Lanes.store(f.fma(Lanes.load(y, yAt + 4L * i), Lanes.load(x, at + 4L * i)), x, at + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      float sum = Math.fma(factor, Lanes.get(y, yAt + 4L * i), Lanes.get(x, at + 4L * i));
      Lanes.put(x, at + 4L * i, sum);
    }
  }

  /** {@code out = x + share · y}, of rows at the same place. */
  static void mix(
      MemorySegment x, MemorySegment y, MemorySegment share, MemorySegment out, long at, int n) {
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      FloatVector step = Lanes.load(y, at + 4L * i);
      FloatVector sum = Lanes.load(share, 4L * i).fma(step, Lanes.load(x, at + 4L * i));
      Lanes.store(sum, out, at + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      float step = Lanes.get(y, at + 4L * i);
      float sum = Math.fma(Lanes.get(share, 4L * i), step, Lanes.get(x, at + 4L * i));
      Lanes.put(out, at + 4L * i, sum);
    }
  }

  static float sumOfSquares(MemorySegment x, long at, int n) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i <= n - 2 * Lanes.LENGTH; i += 2 * Lanes.LENGTH) {
      FloatVector v = Lanes.load(x, at + 4L * i);
      FloatVector w = Lanes.load(x, at + 4L * i + Lanes.BYTES);
      a = v.fma(v, a);
      b = w.fma(w, b);
    }
    float sum = Lanes.sum(a.add(b));
    for (; i < n; i++) {
      float v = Lanes.get(x, at + 4L * i);
      sum = Math.fma(v, v, sum);
    }
    return sum;
  }

  static float sum(MemorySegment x, long at, int n) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      a = a.add(Lanes.load(x, at + 4L * i));
    }
    float sum = Lanes.sum(a);
    for (int i = Lanes.whole(n); i < n; i++) {
      sum += Lanes.get(x, at + 4L * i);
    }
    return sum;
  }

  /** The sum of {@code (x − mean)²}. */
  static float sumOfSquares(MemorySegment x, long at, int n, float mean) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      FloatVector v = Lanes.load(x, at + 4L * i).sub(mean);
      a = v.fma(v, a);
    }
    float sum = Lanes.sum(a);
    for (int i = Lanes.whole(n); i < n; i++) {
      float v = Lanes.get(x, at + 4L * i) - mean;
      sum = Math.fma(v, v, sum);
    }
    return sum;
  }

  /** {@code out = factor · (x − mean) · weight}. */
  static void centre(
      MemorySegment x,
      long at,
      float mean,
      MemorySegment weight,
      float factor,
      MemorySegment out,
      long outAt,
      int n) {
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      FloatVector y = Lanes.load(x, at + 4L * i).sub(mean).mul(factor);
      Lanes.store(y.mul(Lanes.load(weight, 4L * i)), out, outAt + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      float y = (Lanes.get(x, at + 4L * i) - mean) * factor * Lanes.get(weight, 4L * i);
      Lanes.put(out, outAt + 4L * i, y);
    }
  }

  /** {@code out = factor · x · weight}, or {@code factor · x} where there is no weight. */
  static void multiply(
      MemorySegment x,
      long at,
      MemorySegment weight,
      float factor,
      MemorySegment out,
      long outAt,
      int n) {
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      FloatVector y = Lanes.load(x, at + 4L * i).mul(factor).mul(Lanes.load(weight, 4L * i));
      Lanes.store(y, out, outAt + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      float y = Lanes.get(x, at + 4L * i) * factor * Lanes.get(weight, 4L * i);
      Lanes.put(out, outAt + 4L * i, y);
    }
  }

  static float max(MemorySegment x, long at, int n) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      max = Math.max(max, Lanes.get(x, at + 4L * i));
    }
    return max;
  }

  /** Replaces numbers by {@code e^(x − max)} and returns their sum. */
  static float exponentials(MemorySegment x, long at, int n, float max) {
    FloatVector sum = Lanes.zero();
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      FloatVector e = Functions.exp(Lanes.load(x, at + 4L * i).sub(max));
      Lanes.store(e, x, at + 4L * i);
      sum = sum.add(e);
    }
    float total = Lanes.sum(sum);
    for (int i = Lanes.whole(n); i < n; i++) {
      float e = (float) Math.exp(Lanes.get(x, at + 4L * i) - max);
      Lanes.put(x, at + 4L * i, e);
      total += e;
    }
    return total;
  }

  static void softCap(MemorySegment x, long at, int n, float cap) {
    FloatVector c = Lanes.broadcast(cap);
    for (int i = 0; i < Lanes.whole(n); i += Lanes.LENGTH) {
      Lanes.store(Functions.tanh(Lanes.load(x, at + 4L * i).div(c)).mul(c), x, at + 4L * i);
    }
    for (int i = Lanes.whole(n); i < n; i++) {
      float y = (float) (cap * Math.tanh(Lanes.get(x, at + 4L * i) / cap));
      Lanes.put(x, at + 4L * i, y);
    }
  }

  static void gated(
      Activation activation,
      MemorySegment gate,
      long gateAt,
      MemorySegment up,
      long upAt,
      MemorySegment out,
      long outAt,
      int n) {
    switch (activation) {
      case SILU -> silu(gate, gateAt, up, upAt, out, outAt, n);
      case GELU -> gelu(gate, gateAt, up, upAt, out, outAt, n);
      case GELU_ERF -> geluErf(gate, gateAt, up, upAt, out, outAt, n);
      case TANH -> tanh(gate, gateAt, up, upAt, out, outAt, n);
      case RELU -> relu(gate, gateAt, up, upAt, out, outAt, n);
      case RELU_SQUARED -> reluSquared(gate, gateAt, up, upAt, out, outAt, n);
      case SIGMOID -> sigmoid(gate, gateAt, up, upAt, out, outAt, n);
      case SOFTPLUS -> softplus(gate, gateAt, up, upAt, out, outAt, n);
      case GPT_OSS -> gptOss(gate, gateAt, up, upAt, out, outAt, n);
    }
  }

  private static void silu(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = Functions.silu(Lanes.load(gate, g + 4L * i));
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void gelu(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = gelu(Lanes.load(gate, g + 4L * i));
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void geluErf(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = Functions.gelu(Lanes.load(gate, g + 4L * i));
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void tanh(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = Functions.tanh(Lanes.load(gate, g + 4L * i));
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void relu(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = Lanes.load(gate, g + 4L * i).max(0);
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void reluSquared(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = reluSquared(Lanes.load(gate, g + 4L * i));
      Lanes.store(y.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void sigmoid(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector x = Functions.sigmoid(Lanes.load(gate, g + 4L * i));
      Lanes.store(x.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void softplus(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector x = Functions.softplus(Lanes.load(gate, g + 4L * i));
      Lanes.store(x.mul(Lanes.load(up, u + 4L * i)), out, o + 4L * i);
    }
  }

  private static void gptOss(
      MemorySegment gate, long g, MemorySegment up, long u, MemorySegment out, long o, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector x = Lanes.load(gate, g + 4L * i).min(7);
      FloatVector linear = Lanes.load(up, u + 4L * i).min(7).max(-7).add(1);
      Lanes.store(x.mul(Functions.sigmoid(x.mul(1.702f))).mul(linear), out, o + 4L * i);
    }
  }

  /** {@code x = activation(x)}. */
  static void activate(Activation activation, MemorySegment x, long at, int n) {
    switch (activation) {
      case SILU -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(Functions.silu(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
        }
      }
      case GELU -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(gelu(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
        }
      }
      case GELU_ERF -> geluErf(x, at, n);
      case TANH -> tanh(x, at, n);
      case RELU -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(Lanes.load(x, at + 4L * i).max(0), x, at + 4L * i);
        }
      }
      case RELU_SQUARED -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(reluSquared(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
        }
      }
      case SIGMOID -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(Functions.sigmoid(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
        }
      }
      case SOFTPLUS -> {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
          Lanes.store(Functions.softplus(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
        }
      }
      case GPT_OSS -> throw activation.needsGate();
    }
  }

  // Methods of their own: all loops in one are more than the compiler may take memory for.

  private static void geluErf(MemorySegment x, long at, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      Lanes.store(Functions.gelu(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
    }
  }

  private static void tanh(MemorySegment x, long at, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      Lanes.store(Functions.tanh(Lanes.load(x, at + 4L * i)), x, at + 4L * i);
    }
  }

  static void xielu(Xielu curve, MemorySegment x, long at, int n) {
    for (int i = 0; i < n; i += Lanes.LENGTH) {
      FloatVector y = Lanes.load(x, at + 4L * i);
      FloatVector limited = y.min(curve.limit());
      FloatVector low = Functions.bend(limited).add(limited.sub(y)).mul(curve.negative());
      FloatVector high = y.mul(y).mul(curve.positive());
      FloatVector bent = low.blend(high, y.compare(VectorOperators.GT, 0));
      Lanes.store(y.fma(Lanes.broadcast(curve.beta()), bent), x, at + 4L * i);
    }
  }

  private static FloatVector gelu(FloatVector x) {
    FloatVector cubic = x.mul(x).mul(x).fma(Lanes.broadcast(GELU_CUBE), x);
    // 0.5 (1 + tanh z) is the sigmoid of 2 z.
    return x.mul(Functions.sigmoid(cubic.mul(GELU_SCALE)));
  }

  private static FloatVector reluSquared(FloatVector x) {
    FloatVector positive = x.max(0);
    return positive.mul(positive);
  }
}
