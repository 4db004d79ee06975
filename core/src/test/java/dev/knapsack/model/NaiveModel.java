package dev.knapsack.model;

import java.util.Arrays;
import java.util.Comparator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A forward pass written a second time, in the plainest way and in double precision: no cache, no
 * batches, every token looks at all before it, or at all. It knows nothing of {@link ModelSpec};
 * what the model is like is said by the test.
 */
class NaiveModel {
  final FixtureModel model;
  int layers;
  int heads;
  int kvHeads;
  int headSize;
  boolean adjacentPairs;
  boolean rotates = true;
  boolean normsRotated;
  double base = 10_000;
  double attentionScale;
  double attentionCap;
  IntUnaryOperator window = layer -> 0;
  boolean bothWays;
  double embeddingScale = 1;
  double residualScale = 1;
  double logitScale = 1;
  double logitCap;
  DoubleUnaryOperator activation = x -> x / (1 + Math.exp(-x));
  boolean clampedGate;
  int experts;
  int used;
  boolean normalise;
  boolean softmaxLast;

  /** The tokens whose logits are computed. */
  int[] tokens = {};

  /** What mixes tokens in place of attention. */
  @Nullable Mixer mixer;

  /** Parts read the residual stream as it is. */
  boolean normsAfterOnly;

  /** Makes of a text's normed rows, by the tensors with a prefix, what is added to its rows. */
  @FunctionalInterface
  interface Mixer {
    double[][] mix(NaiveModel naive, double[][] x, String p);
  }

  NaiveModel(FixtureModel model) {
    this.model = model;
  }

  static double gelu(double x) {
    return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
  }

  float[] logits(int[] tokens) {
    this.tokens = tokens;
    int n = tokens.length;
    double[][] x = new double[n][];
    for (int t = 0; t < n; t++) {
      x[t] = scaled(row("token_embd.weight", tokens[t]), embeddingScale);
    }
    for (int l = 0; l < layers; l++) {
      begin(x, "blk." + l + ".");
      if (mixer == null) {
        attention(x, l, "blk." + l + ".");
      } else {
        mix(mixer, x, "blk." + l + ".");
      }
      for (int t = 0; t < n; t++) {
        mlp(x[t], "blk." + l + ".");
      }
    }
    return logits(x);
  }

  /** The logits of hidden states. */
  float[] logits(double[][] x) {
    int n = x.length;
    int vocabulary = model.infos.get("token_embd.weight").shape().get(1).intValue();
    float[] logits = new float[n * vocabulary];
    String output = has("output.weight") ? "output.weight" : "token_embd.weight";
    for (int t = 0; t < n; t++) {
      double[] row = product(output, norm(x[t], "output_norm.weight"), 0);
      for (int v = 0; v < vocabulary; v++) {
        logits[t * vocabulary + v] = (float) cap(row[v] * logitScale, logitCap);
      }
    }
    return logits;
  }

  /** What a layer does before attention. */
  void begin(double[][] x, String p) {}

  /** The value of a token, of what its layer reads. */
  double[] value(String p, int token, double[] h) {
    return biased(p + "attn_v", h);
  }

  private void mix(Mixer how, double[][] x, String p) {
    double[][] normed = new double[x.length][];
    Arrays.setAll(normed, t -> norm(x[t], p + "attn_norm.weight"));
    double[][] delta = how.mix(this, normed, p);
    for (int t = 0; t < x.length; t++) {
      add(x[t], delta[t], residualScale);
    }
  }

  private void attention(double[][] x, int layer, String p) {
    int n = x.length;
    double[][] q = new double[n][];
    double[][] k = new double[n][];
    double[][] v = new double[n][];
    for (int t = 0; t < n; t++) {
      double[] h = normsAfterOnly ? x[t] : norm(x[t], p + "attn_norm.weight");
      if (has(p + "attn_qkv.weight")) {
        double[] all = product(p + "attn_qkv.weight", h, 0);
        int keys = (heads + kvHeads) * headSize;
        q[t] = Arrays.copyOf(all, heads * headSize);
        k[t] = Arrays.copyOfRange(all, heads * headSize, keys);
        v[t] = Arrays.copyOfRange(all, keys, all.length);
      } else {
        q[t] = biased(p + "attn_q", h);
        k[t] = biased(p + "attn_k", h);
        v[t] = value(p, t, h);
      }
      if (rotates && normsRotated) {
        rotate(q[t], t);
        rotate(k[t], t);
      }
      headNorm(q[t], p + "attn_q_norm.weight");
      headNorm(k[t], p + "attn_k_norm.weight");
      if (rotates && !normsRotated) {
        rotate(q[t], t);
        rotate(k[t], t);
      }
    }
    for (int t = 0; t < n; t++) {
      double[] attended = new double[heads * headSize];
      for (int h = 0; h < heads; h++) {
        attend(q[t], k, v, t, h, layer, p, attended);
      }
      double[] delta = biased(p + "attn_output", attended);
      boolean two = normsAfterOnly || has(p + "ffn_norm.weight");
      if (two && has(p + "post_attention_norm.weight")) {
        delta = norm(delta, p + "post_attention_norm.weight");
      }
      add(x[t], delta, residualScale);
    }
  }

  private void attend(
      double[] q, double[][] k, double[][] v, int t, int h, int layer, String p, double[] out) {
    int kv = h / (heads / kvHeads) * headSize;
    int end = bothWays ? k.length : t + 1;
    double[] weight = new double[end];
    double sum = has(p + "attn_sinks.weight") ? Math.exp(row(p + "attn_sinks.weight", 0)[h]) : 0;
    for (int s = 0; s < end; s++) {
      if (window.applyAsInt(layer) > 0 && Math.abs(t - s) >= window.applyAsInt(layer)) {
        continue;
      }
      double score = 0;
      for (int i = 0; i < headSize; i++) {
        score += q[h * headSize + i] * k[s][kv + i];
      }
      weight[s] = Math.exp(cap(score * attentionScale, attentionCap));
      sum += weight[s];
    }
    for (int s = 0; s < end; s++) {
      for (int i = 0; i < headSize; i++) {
        out[h * headSize + i] += weight[s] / sum * v[s][kv + i];
      }
    }
  }

  private void mlp(double[] x, String p) {
    String before = has(p + "ffn_norm.weight") ? "ffn_norm.weight" : "post_attention_norm.weight";
    double[] h = normsAfterOnly ? x : norm(x, p + before);
    double[] delta;
    if (experts == 0) {
      delta = gated(p, "", h, 0);
    } else {
      delta = new double[x.length];
      double[] router = biased(p + "ffn_gate_inp", h);
      double[] weights = softmaxLast ? router : softmax(router);
      int[] chosen =
          IntStream.range(0, experts)
              .boxed()
              .sorted(Comparator.comparingDouble((Integer e) -> -router[e]))
              .limit(used)
              .mapToInt(e -> e)
              .toArray();
      double[] ofChosen = IntStream.of(chosen).mapToDouble(e -> weights[e]).toArray();
      if (softmaxLast) {
        ofChosen = softmax(ofChosen);
      } else if (normalise) {
        ofChosen = scaled(ofChosen, 1 / Arrays.stream(ofChosen).sum());
      }
      for (int i = 0; i < used; i++) {
        add(delta, gated(p, "_exps", h, chosen[i]), ofChosen[i]);
      }
      if (has(p + "ffn_up_shexp.weight")) {
        double gate = product(p + "ffn_gate_inp_shexp.weight", h, 0)[0];
        add(delta, gated(p, "_shexp", h, 0), 1 / (1 + Math.exp(-gate)));
      }
    }
    if (has(p + "post_ffw_norm.weight")) {
      delta = norm(delta, p + "post_ffw_norm.weight");
    }
    add(x, delta, residualScale);
  }

  /** The MLP of this kind, in one expert. */
  double[] gated(String p, String kind, double[] h, int expert) {
    double[] gate;
    double[] up = product(p + "ffn_up" + kind + ".weight", h, expert);
    if (has(p + "ffn_gate" + kind + ".weight")) {
      gate = product(p + "ffn_gate" + kind + ".weight", h, expert);
      bias(gate, p + "ffn_gate" + kind + ".bias", expert);
      bias(up, p + "ffn_up" + kind + ".bias", expert);
    } else {
      gate = Arrays.copyOf(up, up.length / 2);
      up = Arrays.copyOfRange(up, up.length / 2, up.length);
    }
    double[] hidden = new double[gate.length];
    for (int i = 0; i < hidden.length; i++) {
      if (clampedGate) {
        double g = Math.min(gate[i], 7);
        double u = Math.max(-7, Math.min(up[i], 7));
        hidden[i] = g / (1 + Math.exp(-1.702 * g)) * (u + 1);
      } else {
        hidden[i] = activation.applyAsDouble(gate[i]) * up[i];
      }
    }
    if (has(p + "ffn_sub_norm.weight")) {
      hidden = norm(hidden, p + "ffn_sub_norm.weight");
    }
    double[] down = product(p + "ffn_down" + kind + ".weight", hidden, expert);
    bias(down, p + "ffn_down" + kind + ".bias", expert);
    return down;
  }

  void rotate(double[] x, int position) {
    for (int start = 0; start < x.length; start += headSize) {
      for (int i = 0; i < headSize / 2; i++) {
        double angle = position * Math.pow(base, -2.0 * i / headSize);
        int a = start + (adjacentPairs ? 2 * i : i);
        int b = adjacentPairs ? a + 1 : a + headSize / 2;
        double xa = x[a];
        double xb = x[b];
        x[a] = xa * Math.cos(angle) - xb * Math.sin(angle);
        x[b] = xa * Math.sin(angle) + xb * Math.cos(angle);
      }
    }
  }

  boolean has(String name) {
    return model.infos.containsKey(name);
  }

  double[] row(String name, int row) {
    int columns = model.infos.get(name).shape().getFirst().intValue();
    float[] all = model.numbers.get(name);
    return IntStream.range(0, columns).mapToDouble(c -> all[row * columns + c]).toArray();
  }

  /** The matrix (of one of several, one after the other) times x. */
  double[] product(String name, double[] x, int which) {
    var shape = model.infos.get(name).shape();
    int columns = shape.get(0).intValue();
    int rows = shape.size() > 1 ? shape.get(1).intValue() : 1;
    float[] w = model.numbers.get(name);
    double[] y = new double[rows];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        y[r] += w[(which * rows + r) * columns + c] * x[c];
      }
    }
    String scale = name.replace(".weight", ".scale");
    return has(scale) ? scaled(y, model.numbers.get(scale)[0]) : y;
  }

  double[] biased(String name, double[] x) {
    double[] y = product(name + ".weight", x, 0);
    bias(y, name + ".bias", 0);
    return y;
  }

  void bias(double[] y, String name, int row) {
    if (has(name)) {
      add(y, row(name, row), 1);
    }
  }

  double[] norm(double[] x, String name) {
    double squares = Arrays.stream(x).map(d -> d * d).sum() / x.length;
    double[] weight = row(name, 0);
    return IntStream.range(0, x.length)
        .mapToDouble(i -> x[i] / Math.sqrt(squares + 1e-5) * weight[i])
        .toArray();
  }

  /** Of as many numbers at a time as there are factors: of a head, or of all. */
  private void headNorm(double[] x, String name) {
    if (has(name)) {
      int size = model.infos.get(name).shape().getFirst().intValue();
      for (int start = 0; start < x.length; start += size) {
        double[] head = norm(Arrays.copyOfRange(x, start, start + size), name);
        System.arraycopy(head, 0, x, start, size);
      }
    }
  }

  static double[] softmax(double[] x) {
    double sum = Arrays.stream(x).map(Math::exp).sum();
    return Arrays.stream(x).map(d -> Math.exp(d) / sum).toArray();
  }

  private static double cap(double x, double cap) {
    return cap == 0 ? x : cap * Math.tanh(x / cap);
  }

  private static double[] scaled(double[] x, double factor) {
    return Arrays.stream(x).map(d -> d * factor).toArray();
  }

  static void add(double[] x, double[] y, double factor) {
    for (int i = 0; i < x.length; i++) {
      x[i] += factor * y[i];
    }
  }
}
