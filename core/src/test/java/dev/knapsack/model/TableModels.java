package dev.knapsack.model;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Models whose layers read rows of tables, each with what it takes to compute it the plain way. */
enum TableModels {
  /** Values are mixed with three that tokens have in a bank. */
  MOVE {
    @Override
    NaiveModel make() {
      FixtureModel model = FixtureModel.llama("move", 11);
      model.key("value_embedding.slots", 3L).weights("value_embd.weight", 48, 40);
      for (int l = 0; l < 3; l++) {
        model.weights("blk." + l + ".attn_v_gate.weight", 32, 8);
      }
      return new NaiveModel(model) {
        @Override
        double[] value(String p, int token, double[] h) {
          double[] own = biased(p + "attn_v", h);
          double[] gates = biased(p + "attn_v_gate", h);
          double[] bank = row("value_embd.weight", tokens[token]);
          double[] mixed = new double[16];
          for (int i = 0; i < 16; i++) {
            int head = i / 8;
            mixed[i] = gate(gates[head * 4]) * own[i];
            for (int slot = 0; slot < 3; slot++) {
              mixed[i] += gate(gates[head * 4 + 1 + slot]) * bank[slot * 16 + i];
            }
          }
          return mixed;
        }

        private double gate(double x) {
          return 2 / (1 + Math.exp(-x));
        }
      };
    }
  },

  /** Pairs and triples of tokens, of which two each count as one, before two of the layers. */
  ENGRAM {
    @Override
    NaiveModel make() {
      long[] multipliers = {0x3fff_1234_5679L, 77_777_777_777L, 0x1fff_0fed_cba9L, 5, 9, 1_000_003};
      long[] rows = {7, 11, 13, 17, 19, 23, 29, 31};
      FixtureModel model =
          FixtureModel.llama("engram", 12)
              .key("ngram.layers", new long[] {0, 2})
              .key("ngram.order", 3L)
              .key("ngram.head_count", 2L)
              .key("ngram.embedding_length", 6L)
              .key("ngram.conv_kernel", 4L)
              .key("ngram.multipliers", multipliers)
              .key("ngram.rows", rows)
              .key("ngram.tokens", LongStream.range(0, 40).map(t -> t % 21).toArray())
              .key("ngram.pad_token_id", 39L);
      for (int l = 0; l < 3; l += 2) {
        String p = "blk." + l + ".ngram_";
        model
            .norm(p + "norm.weight", 32)
            .weights(p + "embd.weight", 6, l == 0 ? 48 : 102)
            .weights(p + "k.weight", 24, 32)
            .weights(p + "v.weight", 24, 32)
            .bias(p + "v.bias", 32)
            .norm(p + "k_norm.weight", 32)
            .norm(p + "conv_norm.weight", 32)
            .weights(p + "conv.weight", 4, 32);
      }
      return new NaiveModel(model) {
        @Override
        void begin(double[][] x, String p) {
          if (!has(p + "ngram_embd.weight")) {
            return;
          }
          int which = p.equals("blk.0.") ? 0 : 1;
          double[][] values = new double[x.length][];
          double[][] normed = new double[x.length][];
          for (int t = 0; t < x.length; t++) {
            double[] memory = memory(t, which, p);
            double[] query = norm(x[t], p + "ngram_norm.weight");
            double[] key = norm(biased(p + "ngram_k", memory), p + "ngram_k_norm.weight");
            double score = IntStream.range(0, 32).mapToDouble(i -> query[i] * key[i]).sum();
            double open = 1 / (1 + Math.exp(-score / Math.sqrt(32)));
            values[t] = new double[32];
            add(values[t], biased(p + "ngram_v", memory), open);
            normed[t] = norm(values[t], p + "ngram_conv_norm.weight");
          }
          for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < 32; i++) {
              double[] taps = row(p + "ngram_conv.weight", i);
              double sum = 0;
              for (int tap = 0; tap < 4; tap++) {
                int from = t - 3 * (3 - tap);
                sum += from < 0 ? 0 : taps[tap] * normed[from][i];
              }
              x[t][i] += values[t][i] + sum / (1 + Math.exp(-sum));
            }
          }
        }

        private double[] memory(int t, int which, String p) {
          double[] memory = new double[24];
          long first = 0;
          for (int head = 0; head < 4; head++) {
            BigInteger mix = BigInteger.ZERO;
            for (int back = 0; back < (head < 2 ? 2 : 3); back++) {
              int token = t < back ? 39 : tokens[t - back];
              BigInteger factor = BigInteger.valueOf(multipliers[3 * which + back]);
              mix = mix.xor(factor.multiply(BigInteger.valueOf(token % 21)));
            }
            long size = rows[4 * which + head];
            long found = first + mix.mod(BigInteger.valueOf(size)).longValue();
            double[] row = row(p + "ngram_embd.weight", (int) found);
            System.arraycopy(row, 0, memory, 6 * head, 6);
            first += size;
          }
          return memory;
        }
      };
    }
  },

  /** Parts of four numbers, of six in the hidden layer, and no matrices. */
  MEMORYFORMER {
    @Override
    NaiveModel make() {
      FixtureModel model =
          new FixtureModel("memoryformer", 13)
              .key("block_count", 3L)
              .key("context_length", 128L)
              .key("embedding_length", 32L)
              .key("attention.head_count", 4L)
              .key("attention.head_count_kv", 2L)
              .key("attention.layer_norm_rms_epsilon", 1e-5)
              .key("hash.bits", 4L)
              .weights("token_embd.weight", 32, 40)
              .norm("output_norm.weight", 32)
              .weights("output.weight", 32, 40);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        model
            .norm(p + "attn_norm.weight", 32)
            .bias(p + "attn_q_hash.weight", 32, 8 * 16)
            .bias(p + "attn_k_hash.weight", 16, 8 * 16)
            .bias(p + "attn_v_hash.weight", 16, 8 * 16)
            .bias(p + "attn_v_hash.bias", 16)
            .norm(p + "ffn_norm.weight", 32)
            .bias(p + "ffn_up_hash.weight", 48, 8 * 16)
            .bias(p + "ffn_up_hash.bias", 48)
            .norm(p + "ffn_hash_norm.weight", 48)
            .bias(p + "ffn_hash_norm.bias", 48)
            .bias(p + "ffn_down_hash.weight", 32, 8 * 64);
      }
      return new NaiveModel(model) {
        @Override
        double[] biased(String name, double[] x) {
          return name.endsWith("attn_output") ? x : lookedUp(name + "_hash", x, 4);
        }

        @Override
        double[] gated(String p, String kind, double[] h, int expert) {
          double[] hidden = lookedUp(p + "ffn_up_hash", h, 4);
          double mean = Arrays.stream(hidden).average().orElseThrow();
          double[] centred = Arrays.stream(hidden).map(d -> d - mean).toArray();
          double[] normed = norm(centred, p + "ffn_hash_norm.weight");
          bias(normed, p + "ffn_hash_norm.bias", 0);
          return lookedUp(p + "ffn_down_hash", normed, 6);
        }

        private double[] lookedUp(String name, double[] x, int bits) {
          double[] sum =
              new double[model.infos.get(name + ".weight").shape().getFirst().intValue()];
          for (int k = 0; k < 8; k++) {
            double[] z = Arrays.copyOfRange(x, k * bits, (k + 1) * bits);
            double all = 0;
            int chosen = 0;
            for (int vertex = 0; vertex < 1 << bits; vertex++) {
              int code = vertex;
              double product =
                  IntStream.range(0, bits)
                      .mapToDouble(i -> (code >> (bits - 1 - i) & 1) == 1 ? z[i] : -z[i])
                      .sum();
              all += Math.exp(product);
              chosen = product == Arrays.stream(z).map(Math::abs).sum() ? vertex : chosen;
            }
            double share = Math.exp(Arrays.stream(z).map(Math::abs).sum()) / all;
            add(sum, row(name + ".weight", k * (1 << bits) + chosen), share);
          }
          bias(sum, name + ".bias", 0);
          return sum;
        }
      };
    }
  };

  abstract NaiveModel make();

  /** What is to be computed the plain way. */
  final NaiveModel naive() {
    NaiveModel naive = make();
    naive.layers = 3;
    naive.heads = 4;
    naive.kvHeads = 2;
    naive.headSize = 8;
    naive.attentionScale = 1 / Math.sqrt(8);
    return naive;
  }
}
