package dev.knapsack.model;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The plainest source of weights: all of a file, in memory. */
final class ResidentWeights implements WeightSource, AutoCloseable {
  private final List<Lease> leases = new ArrayList<>();
  private final Map<String, Matrix> tensors = new HashMap<>();
  private final List<LayerWeights> layers = new ArrayList<>();
  private final ModelSpec spec;
  private final int outputRows;

  /**
   * @param outputRows rows of the output projection that are given at a time
   */
  ResidentWeights(ModelFile file, ModelSpec spec, Account account, int outputRows) {
    this.outputRows = outputRows;
    for (TensorInfo tensor : file.tensors().values()) {
      tensors.put(tensor.name(), load(file, tensor, account));
    }
    this.spec = spec;
    for (int l = 0; l < spec.layers().size(); l++) {
      int layer = l;
      layers.add(
          LayerWeights.of(
              l, spec.layers().get(l), name -> tensors.get(WeightLayout.name(layer, name)), null));
    }
  }

  private Matrix load(ModelFile file, TensorInfo tensor, Account account) {
    int columns = Math.toIntExact(tensor.shape().getFirst());
    int rows = Math.toIntExact(tensor.values() / columns);
    MemorySegment stored = lease(account, tensor.bytes());
    file.read(tensor, 0, stored);
    if (tensor.shape().size() > 1) {
      return new Matrix(tensor.format(), rows, columns, stored);
    }
    MemorySegment decoded = lease(account, 4L * columns);
    tensor.format().decode(stored, 0, decoded, 0, columns);
    return new Matrix(Formats.F32, 1, columns, decoded);
  }

  private MemorySegment lease(Account account, long bytes) {
    Lease lease = account.lease(bytes);
    leases.add(lease);
    return lease.segment();
  }

  @Override
  public LayerWeights layer(int index) {
    return layers.get(index);
  }

  @Override
  public @Nullable Matrix find(String name) {
    return tensors.get(name);
  }

  @Override
  public void output(RowBlock use) {
    Matrix all = tensors.get(String.valueOf(spec.outputTensor()));
    for (int row = 0; row < all.rows(); row += outputRows) {
      use.accept(row, all.rows(row, Math.min(all.rows(), row + outputRows)));
    }
  }

  @Override
  public void gather(String table, int[] ids, Matrix target) {
    Matrix all = tensors.get(table);
    for (int i = 0; i < target.rows(); i++) {
      all.decodeRow(ids[i], target.data(), target.rowOffset(i));
    }
  }

  @Override
  public void close() {
    leases.forEach(Lease::close);
  }
}
