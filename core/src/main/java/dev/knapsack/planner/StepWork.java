package dev.knapsack.planner;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.Block;
import dev.knapsack.model.Experts;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.model.Work;
import dev.knapsack.plan.Plan;
import java.util.List;

/**
 * The least that steps of a model have to do: weights and cached tokens that they read once, and
 * the multiply-adds of products and of what blocks do beside them.
 *
 * @param cache what sequences keep
 */
public record StepWork(ModelFile file, ModelSpec spec, Plan.Cache cache) {
  /**
   * A step.
   *
   * @param tokens tokens that it takes
   * @param past tokens already cached
   * @param logits whether the output projection is computed, for one token
   */
  public Work step(int tokens, int past, boolean logits) {
    WeightLayout layout = WeightLayout.of(file, spec);
    Work work = Work.NONE;
    for (int i = 0; i < spec.layers().size(); i++) {
      LayerSpec layer = spec.layers().get(i);
      work =
          work.plus(products(layout.layers().get(i), 1, tokens))
              .plus(beside(layer, cache, tokens, past));
      Experts experts = layer.experts();
      if (experts != null) {
        double read = experts.distinct(tokens) / experts.count();
        double used = (double) experts.used() / experts.count();
        work = work.plus(products(layout.experts().get(i), read, tokens * used));
      }
    }
    String name = spec.outputTensor();
    TensorInfo output = name == null ? null : file.tensors().get(name);
    return logits && output != null ? work.plus(products(List.of(output), 1, 1)) : work;
  }

  /**
   * A prompt of {@code tokens} tokens after {@code past} cached ones, in steps of {@code chunk},
   * with logits at its end.
   */
  public Work prompt(int tokens, int past, int chunk) {
    Work work = Work.NONE;
    for (int done = 0; done < tokens; done += chunk) {
      int now = Math.min(chunk, tokens - done);
      work = work.plus(step(now, past + done, done + now == tokens));
    }
    return work;
  }

  /** Products with these weights, of which a part is read, and used {@code times} in all. */
  private static Work products(List<TensorInfo> tensors, double part, double times) {
    double bytes = 0;
    double values = 0;
    for (TensorInfo tensor : tensors) {
      bytes += part * tensor.bytes();
      values += times * tensor.values();
    }
    return new Work(bytes, values);
  }

  /** The work of a layer's blocks beside their products. */
  static Work beside(LayerSpec layer, Plan.Cache cache, int tokens, int past) {
    Work work = Work.NONE;
    for (Block block : layer.blocks()) {
      work = work.plus(block.work(cache.format(), cache.policy(), tokens, past));
    }
    return work;
  }
}
