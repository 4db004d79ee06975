package dev.knapsack.engine;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.LayerWeights;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.model.WeightSource;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Weights where a plan puts them: resident in account {@code weights}; or, read in every step,
 * passing through two buffers in {@code weights/stream}; experts among them, if the plan says so,
 * kept by use in {@code weights/experts}. Tables of which steps read rows are in {@code
 * weights/gather}, or on disk.
 *
 * <p>With nothing streamed it is a plain table of resident matrices, and starts no thread. Used by
 * one thread at a time.
 */
final class PlannedWeights implements WeightSource, AutoCloseable {
  /** Bytes read between two reports of progress. */
  private static final long STRIDE = 16L << 20;

  private final ModelFile file;
  private final WeightLayout layout;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();

  private final ModelSpec spec;
  private final Map<String, Matrix> resident = new HashMap<>();
  private final Set<Integer> streamedLayers;
  private final boolean outputStreamed;

  /**
   * The tensor that is the output projection: the embedding, where there is no other; null where
   * the model writes nothing.
   */
  private final @Nullable TensorInfo output;

  private final @Nullable Matrix outputMatrix;
  private final @Nullable RowReader rows;

  /** Each layer's weights: where they stay, or as they lie in either buffer. */
  private final LayerWeights[][] layers;

  private final @Nullable ExpertCache experts;
  private final @Nullable WeightStream stream;

  // What passes through the stream: the streamed layers, then the blocks of the output.
  private final List<Region> units = new ArrayList<>();
  private final int[] unitOfLayer;

  private int firstOutputUnit;
  private int blockRows;
  private boolean outputWanted = true;

  /**
   * Leases and reads what stays, and starts reading what is streamed first.
   *
   * @param team threads that others may have while a step waits for what is read
   * @throws PlanMismatchException if the plan is not for this file
   * @throws dev.knapsack.error.BudgetExceededException if the weights do not fit
   * @throws ModelFileException if they cannot be read
   */
  PlannedWeights(
      ModelFile file,
      ModelSpec spec,
      Plan.Weights plan,
      Account account,
      WorkerTeam team,
      Host.LoadProgress progress) {
    this.file = file;
    this.spec = spec;
    this.layout = WeightLayout.of(file, spec);
    int layerCount = spec.layers().size();
    this.streamedLayers = new HashSet<>(plan.streamedLayers());
    this.outputStreamed = plan.outputStreamed() && spec.outputTensor() != null;
    this.output = spec.outputTensor() == null ? null : tensor(file, spec.outputTensor());
    this.layers = new LayerWeights[layerCount][];
    this.unitOfLayer = new int[layerCount];
    try {
      for (int layer : streamedLayers) {
        if (layer < 0 || layer >= layerCount) {
          throw new PlanMismatchException(
              "The plan streams layer %d; %s has layers 0 to %d. Plan for this file."
                  .formatted(layer, file.path(), layerCount - 1));
        }
      }
      boolean cached = plan.expertCache() >= 0;
      List<List<TensorInfo>> matrices = new ArrayList<>();
      for (int i = 0; i < layerCount; i++) {
        List<TensorInfo> all = new ArrayList<>(layout.layers().get(i));
        if (!cached) {
          all.addAll(layout.experts().get(i));
        }
        matrices.add(all);
      }
      Account gather = account.part("gather");
      load(matrices, account, plan.gathered() ? List.of() : layout.tables(), gather, progress);
      this.outputMatrix = output == null ? null : resident.get(output.name());
      this.rows = rows(plan, gather, team);
      WeightReader reader = null;
      if (cached || outputStreamed || !streamedLayers.isEmpty()) {
        reader = new WeightReader(file, team);
        held.push(reader);
      }
      this.experts =
          reader == null || !cached
              ? null
              : new ExpertCache(file, layout, plan.expertCache(), account.part("experts"), reader);
      if (experts != null) {
        held.addLast(experts);
      }
      this.stream =
          reader == null || (streamedLayers.isEmpty() && !outputStreamed)
              ? null
              : stream(matrices, plan.streamBuffer(), account.part("stream"), reader);
      for (int i = 0; i < layerCount; i++) {
        layers[i] =
            stream == null || !streamedLayers.contains(i)
                ? new LayerWeights[] {weights(i, Map.of())}
                : new LayerWeights[] {inBuffer(i, stream.memory(0)), inBuffer(i, stream.memory(1))};
      }
      if (stream != null) {
        stream.prefetch(0);
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Matrices that stay in memory. */
  List<Matrix> residents() {
    return List.copyOf(resident.values());
  }

  private static TensorInfo tensor(ModelFile file, String name) {
    TensorInfo tensor = file.tensors().get(name);
    if (tensor == null) {
      throw new ModelFileException(file.path(), name, "the tensor is missing");
    }
    return tensor;
  }

  /** The reader of those tables that are on disk; null if none is. */
  private @Nullable RowReader rows(Plan.Weights plan, Account account, WorkerTeam team) {
    List<TensorInfo> tables = layout.onDisk(plan.gathered(), outputStreamed);
    if (tables.isEmpty()) {
      return null;
    }
    RowReader made = new RowReader(file, layout, tables, Plan.ROWS_AT_ONCE, account, team);
    held.addFirst(made);
    return made;
  }

  /** Tensors that lie beside each other. */
  private record Group(List<TensorInfo> tensors, Account account) {}

  private void load(
      List<List<TensorInfo>> matrices,
      Account account,
      List<TensorInfo> tables,
      Account gather,
      Host.LoadProgress progress) {
    List<Group> groups = new ArrayList<>();
    List<TensorInfo> global =
        layout.global().stream().filter(t -> !outputStreamed || !t.equals(output)).toList();
    groups.add(new Group(global, account));
    groups.add(new Group(tables, gather));
    for (int i = 0; i < matrices.size(); i++) {
      if (!streamedLayers.contains(i)) {
        groups.add(new Group(matrices.get(i), account));
      }
    }
    long total = layout.smallBytes();
    for (Group group : groups) {
      total += group.tensors.stream().mapToLong(TensorInfo::bytes).sum();
    }
    loadSmall(account);
    long done = layout.smallBytes();
    progress.loaded(done, total);
    for (Group group : groups) {
      if (group.tensors.isEmpty()) {
        continue;
      }
      Region region = Region.of(file, group.tensors);
      MemorySegment memory = lease(group.account, region.bytes());
      for (Region.Part part : region.parts()) {
        for (long at = 0; at < part.bytes(); at += STRIDE) {
          long bytes = Math.min(STRIDE, part.bytes() - at);
          file.read(part.tensor(), at, memory.asSlice(part.at() + at, bytes));
          done += bytes;
          progress.loaded(done, total);
        }
        resident.put(part.tensor().name(), Region.matrix(part, memory));
      }
    }
  }

  private MemorySegment lease(Account account, long bytes) {
    Lease lease = account.lease(bytes);
    held.addLast(lease);
    return lease.segment();
  }

  private void loadSmall(Account account) {
    if (layout.small().isEmpty()) {
      return;
    }
    MemorySegment memory = lease(account, layout.smallBytes());
    long most = layout.small().stream().mapToLong(TensorInfo::bytes).max().orElse(0);
    long at = 0;
    try (Lease raw = account.lease(most)) {
      for (TensorInfo tensor : layout.small()) {
        MemorySegment target = memory.asSlice(at, 4 * tensor.values());
        MemorySegment source = raw.segment().asSlice(0, tensor.bytes());
        file.read(tensor, 0, source);
        tensor.format().decode(source, 0, target, 0, tensor.values());
        int columns = Math.toIntExact(tensor.shape().getFirst());
        int rows = Math.toIntExact(tensor.values() / columns);
        resident.put(tensor.name(), new Matrix(Formats.F32, rows, columns, target));
        at += (4 * tensor.values() + 63) / 64 * 64;
      }
    }
  }

  private WeightStream stream(
      List<List<TensorInfo>> matrices, long bufferBytes, Account account, WeightReader reader) {
    for (int i = 0; i < matrices.size(); i++) {
      if (streamedLayers.contains(i)) {
        unitOfLayer[i] = units.size();
        units.add(fit(Region.of(file, matrices.get(i)), bufferBytes, "layer " + i));
      }
    }
    firstOutputUnit = units.size();
    if (outputStreamed && output != null) {
      int rows = Math.toIntExact(output.shape().get(1));
      long rowBytes = output.format().bytes(output.shape().getFirst());
      int most = (int) Math.min(rows, (bufferBytes - WeightLayout.SECTOR) / rowBytes);
      if (most < 1) {
        throw new PlanMismatchException(
            "The plan's stream buffer of %,d bytes cannot hold a row of %s: %,d bytes"
                .formatted(bufferBytes, output.name(), rowBytes + WeightLayout.SECTOR));
      }
      blockRows = Math.ceilDiv(rows, Math.ceilDiv(rows, most));
      for (int from = 0; from < rows; from += blockRows) {
        units.add(Region.ofRows(file, output, from, Math.min(rows, from + blockRows)));
      }
    }
    WeightStream made = new WeightStream(units, bufferBytes, account, reader);
    held.addLast(made);
    return made;
  }

  private static Region fit(Region region, long bufferBytes, String what) {
    if (region.bytes() <= bufferBytes) {
      return region;
    }
    Region packed = region.packed();
    if (packed.bytes() > bufferBytes) {
      throw new PlanMismatchException(
          "The plan's stream buffers have %,d bytes; %s needs %,d. Plan for this file."
              .formatted(bufferBytes, what, packed.bytes()));
    }
    return packed;
  }

  private LayerWeights inBuffer(int layer, MemorySegment buffer) {
    Map<String, Matrix> tensors = new HashMap<>();
    for (Region.Part part : units.get(unitOfLayer[layer]).parts()) {
      tensors.put(part.tensor().name(), Region.matrix(part, buffer));
    }
    return weights(layer, tensors);
  }

  /** A layer's weights: those in a buffer, and what stays. */
  private LayerWeights weights(int layer, Map<String, Matrix> buffered) {
    ExpertCache cache = experts;
    return LayerWeights.of(
        layer,
        spec.layers().get(layer),
        suffix -> {
          String name = WeightLayout.name(layer, suffix);
          Matrix matrix = buffered.get(name);
          return matrix == null ? resident.get(name) : matrix;
        },
        cache == null ? null : (wanted, use) -> cache.use(layer, wanted, use));
  }

  /** The bytes that a token has had read of tables on disk. */
  TableReads tableReads() {
    return rows == null ? TableReads.NONE : rows.reads();
  }

  /** A matrix that the file has: it was checked when the spec was read. */
  private static <T> T require(@Nullable T tensor) {
    return Objects.requireNonNull(tensor, "a tensor that the model declares");
  }

  /** Says whether the steps that follow need the output projection, so that it is read ahead. */
  void expectOutput(boolean wanted) {
    this.outputWanted = wanted;
  }

  /** Experts that were in the cache when needed, of all that were needed; 1 without a cache. */
  double expertHitRate() {
    return experts == null || experts.hits() + experts.misses() == 0
        ? 1
        : experts.hits() / (double) (experts.hits() + experts.misses());
  }

  @Override
  public LayerWeights layer(int index) {
    if (stream == null || !streamedLayers.contains(index)) {
      return layers[index][0];
    }
    int unit = unitOfLayer[index];
    return layers[index][stream.acquire(unit, after(unit))];
  }

  /** The unit that is needed after this one. */
  private int after(int unit) {
    boolean last = unit + 1 == units.size() || (unit + 1 == firstOutputUnit && !outputWanted);
    return last ? 0 : unit + 1;
  }

  @Override
  public @Nullable Matrix find(String name) {
    return resident.get(name);
  }

  @Override
  public void output(RowBlock use) {
    if (stream == null || !outputStreamed) {
      use.accept(0, require(outputMatrix));
      return;
    }
    for (int unit = firstOutputUnit; unit < units.size(); unit++) {
      MemorySegment memory = stream.memory(stream.acquire(unit, after(unit)));
      use.accept(
          (unit - firstOutputUnit) * blockRows,
          Region.matrix(units.get(unit).parts().getFirst(), memory));
    }
  }

  @Override
  public void gather(String table, int[] tokens, Matrix target) {
    Matrix whole = resident.get(table);
    if (whole == null) {
      require(rows).read(table, tokens, target);
      return;
    }
    for (int i = 0; i < target.rows(); i++) {
      whole.decodeRow(tokens[i], target.data(), target.rowOffset(i));
    }
  }

  /** Ends reading and gives every byte back. */
  @Override
  public void close() {
    // The reader is first: memory may not go while it is being read into.
    while (!held.isEmpty()) {
      try {
        held.removeFirst().close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
