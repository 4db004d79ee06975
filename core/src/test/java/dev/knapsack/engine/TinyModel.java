package dev.knapsack.engine;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.Machine;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/** Small models of random weights, written as GGUF files; they know no words, only token ids. */
final class TinyModel {
  /** An answer that ends when it is cancelled. */
  static final Request ENDLESS =
      Request.of(9, 9)
          .withSampling(Sampling.GREEDY)
          .withIgnoreEnd(true)
          .withOverflow(new Overflow.Shift(5));

  /** A machine that computes all formats alike. */
  static final Machine MACHINE =
      new Machine(
          "any",
          "any",
          1,
          1e10,
          1e9,
          new Machine.Rates(1e9, 2e9),
          Map.of("F32", new Machine.Rates(1e9, 2e9)));

  static final int LAYERS = 7;
  static final int WIDTH = 64;
  static final int VOCABULARY = 211;
  static final int CONTEXT = 128;
  static final int EXPERTS = 8;

  private TinyModel() {}

  /** A llama with its matrices in {@code format} and an output projection of its own. */
  static Path dense(Path folder, Format format) {
    return write(folder.resolve("dense-" + format.name() + ".gguf"), format, 0, false);
  }

  /**
   * The same with {@link #EXPERTS} experts in each layer, of which a token uses two; as some files
   * have it, with a dimension of 1 after the experts'.
   */
  static Path experts(Path folder, Format format) {
    return write(folder.resolve("experts-" + format.name() + ".gguf"), format, 0, true);
  }

  /** The same after two dense layers, with gate and up of each expert in one tensor. */
  static Path fusedExperts(Path folder, Format format) {
    return write(folder.resolve("fused-" + format.name() + ".gguf"), format, 2, true);
  }

  private static Path write(Path path, Format format, int leadingDense, boolean experts) {
    if (Files.exists(path)) {
      return path;
    }
    int heads = 4;
    int kvHeads = 2;
    int size = WIDTH / heads;
    int hidden = 96;
    MetadataBuilder header =
        new MetadataBuilder()
            .string("general.architecture", "llama")
            .string("general.name", "tiny")
            .integer("llama.block_count", LAYERS)
            .integer("llama.embedding_length", WIDTH)
            .integer("llama.feed_forward_length", hidden)
            .integer("llama.context_length", CONTEXT)
            .integer("llama.attention.head_count", heads)
            .integer("llama.attention.head_count_kv", kvHeads)
            .real("llama.attention.layer_norm_rms_epsilon", 1e-5);
    if (experts) {
      header
          .integer("llama.expert_count", EXPERTS)
          .integer("llama.expert_used_count", 2)
          .integer("llama.leading_dense_block_count", leadingDense);
    }
    List<TensorInfo> tensors = new ArrayList<>();
    tensors.add(tensor("token_embd.weight", format, WIDTH, VOCABULARY));
    for (int i = 0; i < LAYERS; i++) {
      String layer = "blk." + i + ".";
      tensors.add(tensor(layer + "attn_norm.weight", Formats.F32, WIDTH));
      tensors.add(tensor(layer + "attn_q.weight", format, WIDTH, WIDTH));
      tensors.add(tensor(layer + "attn_k.weight", format, WIDTH, kvHeads * size));
      tensors.add(tensor(layer + "attn_v.weight", format, WIDTH, kvHeads * size));
      tensors.add(tensor(layer + "attn_output.weight", format, WIDTH, WIDTH));
      tensors.add(tensor(layer + "ffn_norm.weight", Formats.F32, WIDTH));
      if (experts && i >= leadingDense) {
        tensors.add(tensor(layer + "ffn_gate_inp.weight", Formats.F32, WIDTH, EXPERTS));
        if (leadingDense > 0) {
          tensors.add(
              tensor(layer + "ffn_gate_up_exps.weight", format, WIDTH, 2 * hidden, EXPERTS));
        } else {
          tensors.add(tensor(layer + "ffn_gate_exps.weight", format, WIDTH, hidden, EXPERTS, 1));
          tensors.add(tensor(layer + "ffn_up_exps.weight", format, WIDTH, hidden, EXPERTS));
        }
        tensors.add(tensor(layer + "ffn_down_exps.weight", format, hidden, WIDTH, EXPERTS));
      } else {
        tensors.add(tensor(layer + "ffn_gate.weight", format, WIDTH, hidden));
        tensors.add(tensor(layer + "ffn_up.weight", format, WIDTH, hidden));
        tensors.add(tensor(layer + "ffn_down.weight", format, hidden, WIDTH));
      }
    }
    tensors.add(tensor("output_norm.weight", Formats.F32, WIDTH));
    tensors.add(tensor("output.weight", format, WIDTH, VOCABULARY));
    SplittableRandom random = new SplittableRandom(5);
    try (GgufWriter writer = GgufWriter.create(path, header.build(path), tensors);
        Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : tensors) {
        int values = Math.toIntExact(tensor.values());
        MemorySegment floats = arena.allocate(4L * values, 64);
        boolean norm = tensor.shape().size() == 1;
        for (int i = 0; i < values; i++) {
          float value = (float) (norm ? 1 + 0.1 * random.nextGaussian() : random.nextGaussian());
          floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, norm ? value : value / 5);
        }
        MemorySegment bytes = arena.allocate(tensor.bytes(), 64);
        tensor.format().encode(floats, 0, bytes, 0, values);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
    return path;
  }

  private static TensorInfo tensor(String name, Format format, long... shape) {
    return new TensorInfo(name, format, Arrays.stream(shape).boxed().toList());
  }

  static final Plan.Weights RESIDENT = new Plan.Weights(List.of(), false, 0, -1);

  /** With the output read from disk in every step, and then the rows of tables too. */
  static Plan.Weights streaming(boolean output, long buffer, int... layers) {
    return new Plan.Weights(IntStream.of(layers).boxed().toList(), output, buffer, -1, output);
  }

  /** A plan for one of these models, with a context of {@link #CONTEXT}. */
  static Plan plan(int sequences, int prefillChunk, Plan.Weights weights) {
    return plan(sequences, prefillChunk, weights, KvPolicy.FULL);
  }

  /** One that keeps in its cache what a policy keeps. */
  static Plan plan(int sequences, int prefillChunk, Plan.Weights weights, KvPolicy policy) {
    return new Plan(
        "tiny",
        1L << 30,
        CONTEXT,
        sequences,
        Plan.Cache.of(KvFormat.of(Formats.F32, Formats.F32)).withPolicy(policy),
        prefillChunk,
        1,
        weights,
        List.of(),
        List.of(),
        new Plan.Prediction(0, 0, 0, 0, 0));
  }

  /** The same with more threads. */
  static Plan withWorkers(Plan plan, int workers) {
    return new Plan(
        plan.model(),
        plan.budget(),
        plan.context(),
        plan.sequences(),
        plan.cache(),
        plan.prefillChunk(),
        workers,
        plan.weights(),
        plan.shares(),
        plan.choices(),
        plan.prediction());
  }

  /** A file of which each read can be waited for, or refused. */
  abstract static class Watched implements ModelFile {
    private final ModelFile file;

    Watched(ModelFile file) {
      this.file = file;
    }

    /** Is called before each read. */
    abstract void before(TensorInfo tensor);

    @Override
    public Path path() {
      return file.path();
    }

    @Override
    public Metadata metadata() {
      return file.metadata();
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      return file.tensors();
    }

    @Override
    public void read(TensorInfo tensor, long from, MemorySegment into) {
      before(tensor);
      file.read(tensor, from, into);
    }

    @Override
    public long alignment(TensorInfo tensor, long from) {
      return file.alignment(tensor, from);
    }

    @Override
    public void close() {
      file.close();
    }
  }

  /** A file whose reads can be made to fail. */
  static final class Failing extends Watched {
    private final AtomicLong left = new AtomicLong(Long.MAX_VALUE);

    Failing(ModelFile file) {
      super(file);
    }

    /** The read after {@code reads} more fails, and all that follow. */
    void failAfter(long reads) {
      left.set(reads);
    }

    @Override
    void before(TensorInfo tensor) {
      if (left.getAndDecrement() <= 0) {
        throw new ModelFileException(path(), tensor.name(), "cannot be read: the disk is gone");
      }
    }
  }
}
