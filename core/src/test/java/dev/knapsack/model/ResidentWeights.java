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

/** The plainest source of weights: all of a file, in memory. */
final class ResidentWeights implements WeightSource, AutoCloseable {
  private final List<Lease> leases = new ArrayList<>();
  private final Map<String, Matrix> tensors = new HashMap<>();
  private final List<LayerWeights> layers = new ArrayList<>();
  private final int outputRows;

  /**
   * @param outputRows rows of the output projection that are given at a time
   */
  ResidentWeights(ModelFile file, ModelSpec spec, Account account, int outputRows) {
    this.outputRows = outputRows;
    List<Map<String, Matrix>> byLayer = new ArrayList<>();
    spec.layers().forEach(l -> byLayer.add(new HashMap<>()));
    for (TensorInfo tensor : file.tensors().values()) {
      Matrix matrix = load(file, tensor, account);
      tensors.put(tensor.name(), matrix);
      int layer = WeightLayout.layer(tensor.name());
      if (layer >= 0) {
        byLayer.get(layer).put(WeightLayout.suffix(tensor.name()), matrix);
      }
    }
    for (int l = 0; l < byLayer.size(); l++) {
      layers.add(new LayerWeights(l, byLayer.get(l)));
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
  public Matrix global(String name) {
    return tensors.get(name);
  }

  @Override
  public boolean has(String name) {
    return tensors.containsKey(name);
  }

  @Override
  public void globalBlocks(String name, RowBlock use) {
    Matrix all = tensors.get(name);
    for (int row = 0; row < all.rows(); row += outputRows) {
      use.accept(row, all.rows(row, Math.min(all.rows(), row + outputRows)));
    }
  }

  @Override
  public void embedding(int token, Matrix target, int row) {
    Matrix all = tensors.get("token_embd.weight");
    all.format()
        .decode(
            all.data(), all.rowOffset(token), target.data(), target.rowOffset(row), all.columns());
  }

  @Override
  public void experts(int layer, int[] experts, ExpertUse use) {
    for (int expert : experts) {
      use.accept(
          expert,
          expert(layer, "ffn_gate_exps.weight", expert),
          expert(layer, "ffn_up_exps.weight", expert),
          expert(layer, "ffn_down_exps.weight", expert));
    }
  }

  private Matrix expert(int layer, String suffix, int expert) {
    Matrix all = layers.get(layer).get(suffix);
    int count = layers.get(layer).get("ffn_gate_inp.weight").rows();
    int rows = all.rows() / count;
    return all.rows(expert * rows, (expert + 1) * rows);
  }

  @Override
  public void close() {
    leases.forEach(Lease::close);
  }
}
