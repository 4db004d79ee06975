package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A model with all that it takes to run it, in a budget that must be empty again at the end. */
final class Rig implements AutoCloseable {
  final Budget budget = Budget.of("1GiB");
  final ModelSpec spec;
  final ResidentWeights weights;
  final WorkerTeam team;
  final Compute compute;
  final Workspace workspace;
  final KvPool pool;
  final Transformer transformer;

  /** What a rig is made of, with the usual in place. */
  record Parts(
      KernelProvider provider,
      Compute.Precision precision,
      Format cache,
      KvTransform transform,
      int sketch,
      int workers,
      int outputRows,
      int tokens,
      int resident) {
    static final Parts USUAL =
        new Parts(
            KernelProvider.SCALAR,
            Compute.Precision.FLOAT,
            Formats.F32,
            KvTransform.NONE,
            0,
            1,
            1 << 30,
            64,
            0);

    Parts with(KernelProvider other) {
      return new Parts(
          other, precision, cache, transform, sketch, workers, outputRows, tokens, resident);
    }

    Parts with(Compute.Precision other) {
      return new Parts(
          provider, other, cache, transform, sketch, workers, outputRows, tokens, resident);
    }

    Parts with(Format other) {
      return new Parts(
          provider, precision, other, transform, sketch, workers, outputRows, tokens, resident);
    }

    Parts with(KvTransform other) {
      return new Parts(
          provider, precision, cache, other, sketch, workers, outputRows, tokens, resident);
    }

    /** With keys of this many directions for each channel. */
    Parts sketch(int times) {
      return new Parts(
          provider, precision, cache, transform, times, workers, outputRows, tokens, resident);
    }

    Parts workers(int other) {
      return new Parts(
          provider, precision, cache, transform, sketch, other, outputRows, tokens, resident);
    }

    /** In pages of one token, all but so many, and a block of 16, on disk. */
    Parts resident(int other) {
      return new Parts(
          provider, precision, cache, transform, sketch, workers, outputRows, tokens, other);
    }

    /** With steps of so many tokens. */
    Parts tokens(int other) {
      return new Parts(
          provider, precision, cache, transform, sketch, workers, outputRows, other, resident);
    }

    Parts outputRows(int other) {
      return new Parts(
          provider, precision, cache, transform, sketch, workers, other, tokens, resident);
    }
  }

  Rig(ModelFile file, Parts parts) {
    this(file, parts, KvPolicy.FULL);
  }

  Rig(ModelFile file, Parts parts, KvPolicy policy) {
    this(file, Families.spec(file), parts, policy);
  }

  /** With attention that takes its keys and values from elsewhere. */
  Rig(ModelFile file, Parts parts, Attention.Source source) {
    this(file, from(Families.spec(file), source), parts, KvPolicy.FULL);
  }

  private static ModelSpec from(ModelSpec spec, Attention.Source source) {
    return with(spec, block -> from(block, source));
  }

  /** A model with something else in place of each block. */
  static ModelSpec with(ModelSpec spec, UnaryOperator<Block> other) {
    return new ModelSpec(
        spec.family(),
        spec.name(),
        spec.width(),
        spec.vocabulary(),
        spec.context(),
        spec.layers().stream()
            .map(layer -> new LayerSpec(layer.blocks().stream().map(other).toList()))
            .toList(),
        spec.centredNorms(),
        spec.normEpsilon(),
        spec.embeddingScale(),
        spec.residualScale(),
        spec.logitScale(),
        spec.logitSoftCap(),
        spec.embeddingNorm(),
        spec.outputNorm(),
        spec.tiedOutput(),
        spec.diffusion(),
        spec.encoding(),
        spec.opening(),
        spec.closing());
  }

  private static Block from(Block block, Attention.Source source) {
    if (block instanceof Parallel p) {
      List<Block> parts = p.parts().stream().map(part -> from(part, source)).toList();
      return new Parallel(p.norms(), p.width(), parts, p.difference());
    }
    return block instanceof Attention a
        ? new Attention(
            a.norms(),
            a.width(),
            a.heads(),
            a.kvHeads(),
            a.keySize(),
            a.valueSize(),
            a.gated(),
            a.scale(),
            a.softCap(),
            a.window(),
            a.chunked(),
            a.rope(),
            a.slopes(),
            a.queryScale(),
            a.headNorms(),
            a.hasKeys() ? source : a.source(),
            a.values(),
            a.hashBits())
        : block;
  }

  Rig(ModelFile file, ModelSpec spec, Parts parts, KvPolicy policy) {
    this.spec = spec;
    List<LayerLayout> layers =
        spec.kvLayout(Formats.F32, Formats.F32).layers().stream()
            .map(l -> l.sketched(parts.sketch()))
            .toList();
    KvLayout layout =
        new KvLayout(layers, parts.cache(), parts.cache())
            .withTransform(parts.transform())
            .withPolicy(policy);
    weights = new ResidentWeights(file, spec, budget.account("weights"), parts.outputRows());
    team = new WorkerTeam(parts.workers());
    compute =
        new Compute(
            parts.provider().open().kernels(),
            team,
            parts.precision(),
            spec.limits(parts.tokens(), layout),
            budget.account("activations"));
    workspace =
        new Workspace(spec, layout, parts.tokens(), parts.tokens(), budget.account("activations"));
    pool =
        new KvPool(
            parts.resident() == 0
                ? layout
                : new KvLayout(
                    layout.layers(),
                    layout.keyFormat(),
                    layout.valueFormat(),
                    0,
                    layout.transform(),
                    layout.policy(),
                    parts.resident(),
                    1),
            budget.account("kv"));
    transformer = new Transformer(spec, weights, compute, workspace);
  }

  /** The logits after each token, computed in steps of {@code step} tokens. */
  float[] logits(int[] tokens, int step) {
    return logits(tokens, step, null);
  }

  float[] logits(int[] tokens, int step, @Nullable Adapter adapter) {
    try (SequenceState state = pool.sequence()) {
      return logits(state, tokens, tokens.length, step, run -> run.withAdapter(adapter));
    }
  }

  /** The logits after each token of a text that a sequence does not have yet, up to {@code to}. */
  float[] logits(SequenceState state, int[] text, int to, int step, UnaryOperator<Run> as) {
    int first = state.length();
    float[] all = new float[(to - first) * spec.vocabulary()];
    for (int from = first; from < to; from += step) {
      int end = Math.min(to, from + step);
      Run run = as.apply(new Run(state, text, from, end, end - from));
      float[] some = floats(transformer.forward(List.of(run)));
      System.arraycopy(some, 0, all, (from - first) * spec.vocabulary(), some.length);
      state.settle();
    }
    return all;
  }

  static float[] floats(Matrix matrix) {
    return matrix
        .data()
        .asSlice(0, 4L * matrix.rows() * matrix.columns())
        .toArray(ValueLayout.JAVA_FLOAT);
  }

  /** Normalised mean square error: Σ(x − y)² / Σx². */
  static double error(float[] expected, float[] actual) {
    if (expected.length != actual.length) {
      throw new IllegalArgumentException(
          "%d numbers, and %d".formatted(expected.length, actual.length));
    }
    double difference = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += ((double) expected[i] - actual[i]) * ((double) expected[i] - actual[i]);
      size += (double) expected[i] * expected[i];
    }
    return difference / size;
  }

  static int[] tokens(int count, int vocabulary, int seed) {
    int[] tokens = new int[count];
    Arrays.setAll(tokens, i -> Math.floorMod(seed * 31 + i * i * 7 + i * 3, vocabulary));
    return tokens;
  }

  @Override
  public void close() {
    pool.close();
    workspace.close();
    compute.close();
    team.close();
    weights.close();
    if (budget.used() != 0) {
      throw new AssertionError("%,d bytes were not given back".formatted(budget.used()));
    }
  }
}
