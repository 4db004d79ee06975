package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.Mlp;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.WeightLayout;
import java.util.List;

/**
 * The work that a step has to do at the least: weights and cached tokens that it reads once, and
 * the multiply-adds of its products and its attention.
 *
 * @param bytes of weights and of the KV cache
 * @param multiplyAdds of matrix products and of attention
 */
public record StepWork(double bytes, double multiplyAdds) {
  private static final StepWork NONE = new StepWork(0, 0);

  /** The work of one model, with a KV cache that keeps this. */
  public record Model(ModelFile file, ModelSpec spec, Plan.Cache cache) {
    /**
     * The work of a step.
     *
     * @param tokens tokens that it takes
     * @param past tokens already cached
     * @param logits whether the output projection is computed, for one token
     */
    public StepWork step(int tokens, int past, boolean logits) {
      WeightLayout layout = WeightLayout.of(file, spec.layers().size());
      StepWork work = NONE;
      for (int i = 0; i < spec.layers().size(); i++) {
        LayerSpec layer = spec.layers().get(i);
        work =
            work.plus(products(layout.layers().get(i), 1, tokens))
                .plus(
                    new StepWork(
                        cacheBytes(layer, cache, tokens, past),
                        attentionMultiplyAdds(layer, cache, tokens, past)));
        if (layer.mlp() instanceof Mlp.Experts experts) {
          double read = distinctExperts(experts, tokens) / experts.count();
          double used = (double) experts.used() / experts.count();
          work = work.plus(products(layout.experts().get(i), read, tokens * used));
        }
      }
      TensorInfo output = file.tensors().get(spec.outputTensor());
      return logits && output != null ? work.plus(products(List.of(output), 1, 1)) : work;
    }

    /**
     * A prompt of {@code tokens} tokens after {@code past} cached ones, in steps of {@code chunk},
     * with logits at its end.
     */
    public StepWork prompt(int tokens, int past, int chunk) {
      StepWork work = NONE;
      for (int done = 0; done < tokens; done += chunk) {
        int now = Math.min(chunk, tokens - done);
        work = work.plus(step(now, past + done, done + now == tokens));
      }
      return work;
    }
  }

  StepWork plus(StepWork other) {
    return new StepWork(bytes + other.bytes, multiplyAdds + other.multiplyAdds);
  }

  /** Products with these weights, of which a part is read, and used {@code times} in all. */
  private static StepWork products(List<TensorInfo> tensors, double part, double times) {
    double bytes = 0;
    double values = 0;
    for (TensorInfo tensor : tensors) {
      bytes += part * tensor.bytes();
      values += times * tensor.values();
    }
    return new StepWork(bytes, values);
  }

  /** Experts that some of {@code tokens} tokens use, if each uses any with equal chance. */
  static double distinctExperts(Mlp.Experts experts, int tokens) {
    double share = (double) experts.used() / experts.count();
    return experts.count() * (1 - Math.pow(1 - share, tokens));
  }

  /** Bytes of a layer's cache that a step reads. */
  static double cacheBytes(LayerSpec layer, Plan.Cache cache, int tokens, int past) {
    KvFormat format = cache.format();
    double token =
        format.keys().bytes(format.keySize(layer.keySize()))
            + format.values().bytes(layer.valueSize());
    double all = seen(layer, cache.policy(), tokens, past);
    double coarse =
        layer.window() > 0 ? 0 : Math.max(0, all - own(tokens) - cache.policy().most(past));
    double coarseToken =
        cache
            .policy()
            .coarse()
            .map(c ->
                c.keysBeside(format.keys())
                        .bytes(c.keySize(format.keySize(layer.keySize()), format.keys()))
                    + c.valuesBeside(format.values()).bytes(layer.valueSize()))
            .orElse(0L);
    return layer.kvHeads() * ((all - coarse) * token + coarse * coarseToken);
  }

  /**
   * Multiply-adds of a layer's scores, and of its values by their weights; with sketched keys those
   * of the projections too.
   */
  static double attentionMultiplyAdds(LayerSpec layer, Plan.Cache cache, int tokens, int past) {
    double keySize = cache.format().keySize(layer.keySize());
    double each =
        layer.heads() * (keySize + layer.valueSize()) * seen(layer, cache.policy(), tokens, past);
    if (cache.format().sketch() > 0) {
      each += (layer.heads() + layer.kvHeads()) * keySize * layer.keySize();
    }
    return tokens * each;
  }

  /** Cached tokens that a token of the step sees, on average. */
  private static double seen(LayerSpec layer, KvPolicy policy, int tokens, int past) {
    if (layer.window() > 0) {
      return Math.min(past + own(tokens), layer.window());
    }
    return Math.min(past, (double) policy.most(past) + policy.mostCoarse(past)) + own(tokens);
  }

  /** Tokens of the step itself that a token of it sees, on average. */
  private static double own(int tokens) {
    return (tokens + 1) / 2.0;
  }
}
