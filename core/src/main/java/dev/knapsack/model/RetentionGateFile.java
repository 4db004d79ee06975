package dev.knapsack.model;

import dev.knapsack.cache.RetentionGates;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * {@link RetentionGates} as a GGUF file: of each layer {@code blk.N.retention_in.weight}, {@code
 * retention_in.bias}, {@code retention_out.weight} and {@code retention_out.bias}; none of layers
 * with a sliding window.
 */
final class RetentionGateFile implements RetentionGates {
  private static final long LINE = 64;

  private static final List<String> TENSORS =
      List.of("in.weight", "in.bias", "out.weight", "out.bias");

  private final Path path;
  private final ModelSpec spec;
  private final int hidden;
  private final long bytes;

  private RetentionGateFile(Path path, ModelSpec spec, int hidden, long bytes) {
    this.path = path;
    this.spec = spec;
    this.hidden = hidden;
    this.bytes = bytes;
  }

  /**
   * The gates of this file, once it is known to fit the model; they are not read yet.
   *
   * @throws ModelFileException if they do not
   */
  static RetentionGateFile open(Path path, ModelSpec spec) {
    try (ModelFile file = ModelFile.open(path)) {
      int hidden = 0;
      long bytes = 0;
      for (int l = 0; l < spec.layers().size(); l++) {
        Attention layer = spec.layers().get(l).fullAttention();
        if (layer != null) {
          TensorInfo in = tensor(file, l, 0);
          int units = in.shape().size() == 2 ? Math.toIntExact(in.shape().get(1)) : 0;
          check(file, in, spec.width(), units);
          check(file, tensor(file, l, 1), units);
          check(file, tensor(file, l, 2), units, layer.kvHeads());
          check(file, tensor(file, l, 3), layer.kvHeads());
          hidden = Math.max(hidden, units);
          for (int i = 0; i < TENSORS.size(); i++) {
            bytes = Math.addExact(bytes, lines(tensor(file, l, i)));
          }
        }
      }
      return new RetentionGateFile(path, spec, hidden, bytes);
    }
  }

  private static long lines(TensorInfo tensor) {
    return Math.ceilDiv(tensor.bytes(), LINE) * LINE;
  }

  private static TensorInfo tensor(ModelFile file, int layer, int which) {
    String name = "blk." + layer + ".retention_" + TENSORS.get(which);
    TensorInfo tensor = file.tensors().get(name);
    if (tensor == null) {
      throw new ModelFileException(file.path(), name, "is missing");
    }
    return tensor;
  }

  private static void check(ModelFile file, TensorInfo tensor, long... shape) {
    List<Long> wanted = new ArrayList<>();
    for (long size : shape) {
      wanted.add(size);
    }
    boolean vector = shape.length == 1;
    if (!tensor.shape().equals(wanted) || (vector && !tensor.format().equals(Formats.F32))) {
      throw new ModelFileException(
          file.path(),
          tensor.name(),
          "is %s of %s; the model needs %s%s"
              .formatted(tensor.shape(), tensor.format().name(), wanted, vector ? " of F32" : ""));
    }
  }

  @Override
  public int hidden() {
    return hidden;
  }

  @Override
  public long bytes() {
    return bytes;
  }

  @Override
  public List<Layer> read(MemorySegment memory) {
    try (ModelFile file = ModelFile.open(path)) {
      List<Layer> layers = new ArrayList<>();
      long at = 0;
      for (int l = 0; l < spec.layers().size(); l++) {
        Matrix[] tensors = new Matrix[TENSORS.size()];
        for (int i = 0; i < tensors.length; i++) {
          if (spec.layers().get(l).fullAttention() == null) {
            tensors[i] = new Matrix(Formats.F32, 0, 0, MemorySegment.NULL);
            continue;
          }
          TensorInfo tensor = tensor(file, l, i);
          if (tensor.bytes() > memory.byteSize() - at) {
            throw new ModelFileException(path, tensor.name(), "has changed");
          }
          MemorySegment data = memory.asSlice(at, tensor.bytes());
          file.read(tensor, 0, data);
          int rows = tensor.shape().size() == 1 ? 1 : Math.toIntExact(tensor.shape().get(1));
          int columns = Math.toIntExact(tensor.shape().getFirst());
          tensors[i] = new Matrix(tensor.format(), rows, columns, data);
          at += lines(tensor);
        }
        layers.add(new Layer(tensors[0], tensors[1], tensors[2], tensors[3]));
      }
      return layers;
    }
  }
}
