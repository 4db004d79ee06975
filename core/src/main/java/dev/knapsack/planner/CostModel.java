package dev.knapsack.planner;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.generation.Denoising;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Experts;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.model.Work;
import dev.knapsack.model.Workspace;
import dev.knapsack.plan.Plan;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The cost of a model on a machine: bytes of each account and seconds of a step, from the model's
 * header and a plan's choices alone.
 *
 * <p>Bytes are what the engine will lease, page for page. Time is the roofline of each matrix: the
 * longer of moving its weights and doing its arithmetic. Streamed weights are read while others are
 * computed with, so a stretch of layers takes the longer of its reading and its computing.
 */
final class CostModel {
  /**
   * Seconds that a step takes for a layer beside products and attention: norms, rotations, and
   * starting and joining threads a dozen times. Measured with small models, whose steps consist of
   * little else.
   */
  private static final double LAYER_SECONDS = 120e-6;

  /** Time of a single small read, such as a row of a table that is not resident. */
  private static final double DISK_LATENCY = 150e-6;

  private final ModelSpec spec;
  private final Machine machine;
  private final Kernels kernels;
  private final WeightLayout layout;

  /** The output projection; null where the model writes nothing. */
  private final @Nullable TensorInfo output;

  // All that the search asks for again and again.
  private final long[] layerBytes;
  private final long[] layerWithExpertsBytes;
  private final long smallBytes;
  private final long globalBytes;
  private final long globalWithoutOutputBytes;
  private final int expertCount;
  private final long expertBytes;
  private final long tableBytes;
  private final Product outputProduct;
  private final List<Product> outsideProducts = new ArrayList<>();
  private final List<List<Product>> products = new ArrayList<>();
  private final List<List<Product>> expertProducts = new ArrayList<>();

  /** A matrix product: how many weights in how many bytes, and what the machine makes of them. */
  private record Product(double values, double bytes, Machine.Rates rates) {}

  /** The part of a plan that decides what it costs. */
  record Setting(
      int context,
      int sequences,
      Plan.Cache cache,
      int prefillChunk,
      int workers,
      Plan.Weights weights,
      long constraint) {
    Setting withCache(Plan.Cache value) {
      return new Setting(context, sequences, value, prefillChunk, workers, weights, constraint);
    }
  }

  /**
   * @throws ModelFileException if the file lacks layers or an embedding
   */
  CostModel(ModelFile file, ModelSpec spec, Machine machine, Kernels kernels) {
    this.spec = spec;
    this.machine = machine;
    this.kernels = kernels;
    int count = spec.layers().size();
    this.layout = WeightLayout.of(file, spec);
    this.output = output(file, spec.outputTensor());
    this.layerBytes = new long[count];
    this.layerWithExpertsBytes = new long[count];
    for (int i = 0; i < count; i++) {
      layerBytes[i] = WeightLayout.bytes(file, layout.layers().get(i));
      List<TensorInfo> all = new ArrayList<>(layout.layers().get(i));
      all.addAll(layout.experts().get(i));
      layerWithExpertsBytes[i] = WeightLayout.bytes(file, all);
      products.add(layout.layers().get(i).stream().map(this::product).toList());
      expertProducts.add(layout.experts().get(i).stream().map(this::product).toList());
    }
    layout.global().stream()
        .filter(t -> !t.equals(output))
        .forEach(t -> outsideProducts.add(product(t)));
    this.smallBytes = pages(layout.smallBytes());
    this.globalBytes = pages(WeightLayout.bytes(file, layout.global()));
    this.globalWithoutOutputBytes =
        pages(
            WeightLayout.bytes(
                file, layout.global().stream().filter(t -> !t.equals(output)).toList()));
    this.expertCount =
        layout.experts().stream()
            .filter(layer -> !layer.isEmpty())
            .mapToInt(layer -> Math.toIntExact(layer.getFirst().matrices()))
            .sum();
    this.expertBytes = layout.expertBytes();
    this.tableBytes = pages(WeightLayout.bytes(file, layout.tables()));
    this.outputProduct = output == null ? new Product(0, 0, machine.rates("F32")) : product(output);
  }

  private static @Nullable TensorInfo output(ModelFile file, @Nullable String name) {
    TensorInfo tensor = name == null ? null : file.tensors().get(name);
    if (name != null && tensor == null) {
      throw new ModelFileException(file.path(), name, "the tensor is missing");
    }
    return tensor;
  }

  private Product product(TensorInfo tensor) {
    return new Product(tensor.values(), tensor.bytes(), machine.rates(tensor.format().name()));
  }

  int layers() {
    return layerBytes.length;
  }

  /** Experts of all layers. */
  int expertCount() {
    return expertCount;
  }

  /** Experts of the layer that has most. */
  int mostExperts() {
    return spec.layers().stream()
        .map(LayerSpec::experts)
        .mapToInt(experts -> experts == null ? 0 : experts.count())
        .max()
        .orElse(0);
  }

  /** Bytes of a place in the expert cache. */
  long expertBytes() {
    return expertBytes;
  }

  /** Bytes of a layer's matrices as they lie in memory. */
  long layerBytes(int layer, boolean withExperts) {
    return withExperts ? layerWithExpertsBytes[layer] : layerBytes[layer];
  }

  /** The least buffer that blocks of the output projection can be read into. */
  long outputRowBytes() {
    return output == null
        ? 0
        : output.format().bytes(output.shape().getFirst()) + WeightLayout.SECTOR;
  }

  long outputBytes() {
    return output == null ? 0 : output.bytes();
  }

  /** Says whether there is an output projection, which a model that writes has. */
  boolean hasOutput() {
    return output != null;
  }

  /** Says whether there are tables of which steps read rows alone. */
  boolean hasTables() {
    return !layout.tables().isEmpty();
  }

  /** The tables that are on disk, of which rows are read. */
  private List<TensorInfo> gathered(Plan.Weights w) {
    return layout.onDisk(w.gathered(), w.outputStreamed());
  }

  /** Bytes of tables: all of them, or those that rows are read into. */
  private long gatherBytes(Plan.Weights w) {
    return (w.gathered() ? 0 : tableBytes) + Plan.ROWS_AT_ONCE * WeightLayout.rowBytes(gathered(w));
  }

  /** Seconds that the rows of a step's tokens take to be read. */
  private double gatherSeconds(Plan.Weights w, int tokens) {
    double seconds = 0;
    for (TensorInfo table : gathered(w)) {
      long rows = (long) tokens * layout.reads(table);
      seconds +=
          Math.ceilDiv(rows, Plan.ROWS_AT_ONCE) * DISK_LATENCY
              + rows * WeightLayout.rowBytes(List.of(table)) / machine.diskBytesPerSecond();
    }
    return seconds;
  }

  static long pages(long bytes) {
    return Math.ceilDiv(bytes, (long) WeightLayout.SECTOR) * WeightLayout.SECTOR;
  }

  /** Bytes of weights that stay, tables aside. */
  long residentBytes(Plan.Weights weights) {
    boolean withExperts = weights.expertCache() < 0;
    Set<Integer> streamed = new HashSet<>(weights.streamedLayers());
    long bytes = smallBytes + (weights.outputStreamed() ? globalWithoutOutputBytes : globalBytes);
    for (int i = 0; i < layers(); i++) {
      if (!streamed.contains(i)) {
        bytes += pages(layerBytes(i, withExperts));
      }
    }
    return bytes;
  }

  long cacheBytes(Setting s) {
    return s.sequences * s.cache.layout(spec).bytes(s.context, s.prefillChunk);
  }

  /** Bytes on disk of the caches of all sequences, when they are full. */
  long diskBytes(Setting s) {
    return s.sequences * s.cache.layout(spec).diskBytes(s.context);
  }

  /** Bytes of the activations of a step, and of the kernels' scratch memory. */
  long activationBytes(Setting s) {
    int tokens = Math.max(s.prefillChunk, s.sequences);
    KvLayout layout = s.cache.layout(spec);
    return pages(Workspace.bytes(spec, layout, tokens, spec.logitRows(tokens, s.sequences)))
        + pages(
            Compute.scratchBytes(
                kernels, s.workers, kernels.products().precision(), spec.limits(tokens, layout)));
  }

  List<Plan.Share> shares(Setting s, JvmShare jvm) {
    List<Plan.Share> shares = new ArrayList<>();
    shares.add(
        new Plan.Share(
            "jvm",
            jvm.bytes(),
            "resident now %s, heap %s, compiler %s, other %s"
                .formatted(
                    Budget.formatSize(jvm.resident()),
                    Budget.formatSize(jvm.heap()),
                    Budget.formatSize(jvm.code()),
                    Budget.formatSize(jvm.other()))));
    Plan.Weights w = s.weights;
    int streamed = w.streamedLayers().size();
    shares.add(
        new Plan.Share(
            "weights",
            residentBytes(w),
            "%d of %d layers%s"
                .formatted(
                    layers() - streamed,
                    layers(),
                    w.outputStreamed() || output == null
                        ? ""
                        : spec.tiedOutput() ? ", embedding and output" : ", and output")));
    if (gatherBytes(w) > 0) {
      shares.add(new Plan.Share("weights/gather", gatherBytes(w), tables(w)));
    }
    if (w.streamBuffer() > 0) {
      shares.add(
          new Plan.Share(
              "weights/stream",
              streamBytes(w),
              "two buffers of %s for what is read in every step"
                  .formatted(Budget.formatSize(w.streamBuffer()))));
    }
    if (w.expertCache() > 0) {
      shares.add(
          new Plan.Share(
              "weights/experts",
              w.expertCache(),
              "%d of %d experts".formatted(w.expertCache() / expertBytes, expertCount)));
    }
    if (output != null) {
      shares.add(kvShare(s));
    }
    shares.add(
        new Plan.Share(
            "activations",
            activationBytes(s),
            "steps of %d tokens".formatted(Math.max(s.prefillChunk, s.sequences))));
    if (s.constraint > 0) {
      shares.add(
          new Plan.Share(
              "constraint", s.constraint, "the vocabulary by its bytes, and masks of its tokens"));
    }
    return shares;
  }

  private Plan.Share kvShare(Setting s) {
    return new Plan.Share(
        "kv",
        cacheBytes(s),
        kept(s)
            + (diskBytes(s) > 0
                ? ", up to %s on disk".formatted(Budget.formatSize(diskBytes(s)))
                : ""));
  }

  /** The places of tables, in words. */
  private String tables(Plan.Weights w) {
    List<TensorInfo> gathered = gathered(w);
    if (gathered.isEmpty()) {
      return "tables of which steps read rows";
    }
    long disk = gathered.stream().mapToLong(TensorInfo::bytes).sum();
    return "%srows of %s on disk, %d at a time"
        .formatted(
            w.gathered() || !hasTables() ? "" : "tables, and ",
            Budget.formatSize(disk),
            Plan.ROWS_AT_ONCE);
  }

  /** The memory of sequences, in words. */
  private String kept(Setting s) {
    if (spec.readsWholeTexts()) {
      return "none: texts are computed whole";
    }
    String sequences = s.sequences == 1 ? "" : " of %d sequences".formatted(s.sequences);
    long states = spec.layers().stream().filter(LayerSpec::carriesState).count();
    String carried = "states of %d layers".formatted(states);
    if (spec.layers().stream().allMatch(layer -> layer.attention() == null)) {
      return carried + sequences;
    }
    String tokens =
        "%,d tokens%s in %s".formatted(s.context, sequences, s.cache.describe(s.context));
    return states == 0 ? tokens : tokens + ", and " + carried;
  }

  /** Bytes of the two buffers that streamed weights pass through. */
  private long streamBytes(Plan.Weights w) {
    return 2 * pages(w.streamBuffer());
  }

  /** Bytes of all accounts that hold weights. */
  long weightBytes(Plan.Weights w) {
    return residentBytes(w) + gatherBytes(w) + streamBytes(w) + Math.max(0, w.expertCache());
  }

  long bytes(Setting s, JvmShare jvm) {
    return jvm.bytes() + weightBytes(s.weights) + cacheBytes(s) + activationBytes(s) + s.constraint;
  }

  /** Seconds that a part of a product takes with {@code tokens} tokens. */
  private double seconds(Product p, double part, double tokens) {
    double once =
        Math.max(
            part * p.bytes / machine.memoryBytesPerSecond(), part * p.values / p.rates.decode());
    return tokens <= 1 ? once : Math.max(once, tokens * part * p.values / p.rates.prefill());
  }

  private double computeSeconds(int layer, int tokens, int past, Setting s) {
    double seconds = LAYER_SECONDS + besideSeconds(spec.layers().get(layer), tokens, past, s);
    for (Product product : products.get(layer)) {
      seconds += seconds(product, 1, tokens);
    }
    Experts experts = spec.layers().get(layer).experts();
    if (experts != null) {
      double distinct = experts.distinct(tokens);
      double part = distinct / experts.count();
      double tokensEach = tokens * experts.used() / distinct;
      for (Product product : expertProducts.get(layer)) {
        seconds += seconds(product, part, tokensEach);
      }
    }
    return seconds;
  }

  /** Seconds of a layer's attention, or of what it has in its place. */
  private double besideSeconds(LayerSpec layer, int tokens, int past, Setting s) {
    Work work = StepWork.beside(layer, s.cache, tokens, past);
    double rate = tokens > 1 ? machine.attention().prefill() : machine.attention().decode();
    return Math.max(work.bytes() / machine.memoryBytesPerSecond(), work.multiplyAdds() / rate);
  }

  private double missingExpertsSeconds(int layer, int tokens, Plan.Weights weights) {
    Experts experts = spec.layers().get(layer).experts();
    if (weights.expertCache() < 0 || experts == null) {
      return 0;
    }
    long slots = weights.expertCache() / expertBytes;
    double kept = Math.min(1, (double) slots / expertCount);
    double misses = experts.distinct(tokens) * (1 - kept);
    return misses * (expertBytes / machine.diskBytesPerSecond() + (misses > 0 ? DISK_LATENCY : 0));
  }

  /** Seconds in which the cached tokens that are on disk are read, in each layer. */
  private double[] cacheReadSeconds(Setting s, int past) {
    double[] seconds = new double[layers()];
    KvLayout layout = s.cache.layout(spec);
    long bytes = layout.diskBytes(past);
    if (bytes == 0) {
      return seconds;
    }
    double all = 0;
    for (int i = 0; i < layers(); i++) {
      seconds[i] = layout.heads(i).seeAll() ? layout.tokenBytes(i) : 0;
      all += seconds[i];
    }
    for (int i = 0; i < layers(); i++) {
      Attention attention = spec.layers().get(i).attention();
      if (attention != null
          && attention.source() instanceof Attention.Source.Earlier(int earlier)) {
        seconds[i] = seconds[earlier]; // read once more
      }
    }
    for (int i = 0; i < layers(); i++) {
      seconds[i] *= bytes / all / machine.diskBytesPerSecond();
    }
    return seconds;
  }

  /**
   * Seconds of one step.
   *
   * @param tokens tokens that the step takes
   * @param past tokens already cached
   * @param logits tokens that the output projection is computed for
   */
  double stepSeconds(Setting s, int tokens, int past, int logits) {
    Plan.Weights w = s.weights;
    boolean withExperts = w.expertCache() < 0;
    Set<Integer> streamed = new HashSet<>(w.streamedLayers());
    // Each streamed unit's reading, and the computing between its arrival and the next one's.
    List<Double> reads = new ArrayList<>();
    List<Double> stretches = new ArrayList<>();
    double[] cacheReads = cacheReadSeconds(s, past);
    double disk = 0; // all that is read: there is one disk
    double before = 0; // computing before the first streamed unit: its reading has begun by then
    for (Product product : outsideProducts) {
      before += seconds(product, 1, tokens);
    }
    for (int i = 0; i < layers(); i++) {
      double seconds = computeSeconds(i, tokens, past, s);
      double missing = missingExpertsSeconds(i, tokens, w);
      // Cached tokens are read while those before them are attended to.
      seconds = Math.max(seconds, missing + cacheReads[i]);
      disk += missing + cacheReads[i];
      if (streamed.contains(i)) {
        reads.add(layerBytes(i, withExperts) / machine.diskBytesPerSecond() + DISK_LATENCY);
        stretches.add(seconds);
      } else if (reads.isEmpty()) {
        before += seconds;
      } else {
        stretches.set(stretches.size() - 1, stretches.getLast() + seconds);
      }
    }
    double after = 0;
    if (logits > 0) {
      double seconds = seconds(outputProduct, 1, logits);
      if (w.outputStreamed()) {
        int blocks = (int) Math.max(1, Math.ceilDiv(outputBytes(), Math.max(1, w.streamBuffer())));
        for (int b = 0; b < blocks; b++) {
          reads.add(outputBytes() / machine.diskBytesPerSecond() / blocks + DISK_LATENCY);
          stretches.add(seconds / blocks);
        }
      } else {
        after = seconds;
      }
    }
    double gather = gatherSeconds(w, tokens);
    if (reads.isEmpty()) {
      return gather + Math.max(before + after, disk);
    }
    // The stretch after the last unit runs into the next step, up to that step's first unit.
    int last = stretches.size() - 1;
    stretches.set(last, stretches.get(last) + after + before);
    double seconds = gather;
    for (int i = 0; i <= last; i++) {
      seconds += Math.max(stretches.get(i), reads.get((i + 1) % reads.size()));
    }
    return Math.max(seconds, disk + reads.stream().mapToDouble(r -> r).sum());
  }

  /** Seconds from a prompt to the logits of its last token. */
  private double prefillSeconds(Setting s, int promptTokens) {
    int full = (promptTokens - 1) / s.prefillChunk;
    int before = full * s.prefillChunk;
    // Attention grows evenly with what is cached, or less where some is forgotten: so the middle
    // step stands for all.
    double seconds =
        full == 0 ? 0 : full * stepSeconds(s, s.prefillChunk, (before - s.prefillChunk) / 2, 0);
    return seconds + stepSeconds(s, promptTokens - before, before, 1);
  }

  /** Speed to expect, on this machine. */
  Plan.Prediction predict(Setting s) {
    int prompt = promptTokens(s.context);
    if (spec.diffusion() != null) {
      return predictDenoising(s, prompt);
    }
    if (output == null) {
      double step = stepSeconds(s, s.prefillChunk, 0, 0);
      return new Plan.Prediction(
          s.prefillChunk / step,
          0,
          stepSeconds(s, prompt, 0, 0),
          prompt,
          machine.memoryBytesPerSecond());
    }
    double prefill = prefillSeconds(s, prompt);
    return new Plan.Prediction(
        prompt / prefill,
        1 / stepSeconds(s, 1, 0, 1),
        prefill,
        prompt,
        machine.memoryBytesPerSecond());
  }

  /**
   * The speed of answers that are denoised as they usually are: each step computes all of prompt
   * and answer, and decides one token. The first is sure to be there with the last of its block.
   */
  private Plan.Prediction predictDenoising(Setting s, int prompt) {
    Denoising usual = Denoising.DEFAULT;
    int answer = Math.clamp(s.context - prompt, 1, Denoising.USUAL_LENGTH);
    int block = Math.min(usual.blockLength(), answer);
    // Half of a block's tokens are decided when its steps are half done.
    double step = stepSeconds(s, prompt + answer, 0, Math.ceilDiv(block, 2));
    return new Plan.Prediction(
        (prompt + answer) / step,
        block / (usual.steps(block) * step),
        usual.steps(block) * step,
        prompt,
        machine.memoryBytesPerSecond());
  }

  /** The prompt that predictions are for: 512 tokens, or half the context if that is less. */
  static int promptTokens(int context) {
    return Math.max(1, Math.min(512, context / 2));
  }

  /** Seconds that one decode step of a plan takes when {@code past} tokens are cached. */
  double decodeSeconds(Plan plan, int past) {
    return stepSeconds(setting(plan), 1, past, 1);
  }

  private static Setting setting(Plan plan) {
    return new Setting(
        plan.context(),
        plan.sequences(),
        plan.cache(),
        plan.prefillChunk(),
        plan.workers(),
        plan.weights(),
        plan.bytes("constraint"));
  }
}
