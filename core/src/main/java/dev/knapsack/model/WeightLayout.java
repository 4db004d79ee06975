package dev.knapsack.model;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import java.util.ArrayList;
import java.util.List;

/**
 * A model's tensors by where they can be kept: small ones that always stay, each layer's matrices,
 * each layer's experts, and what lies outside the layers; all of it from the header.
 *
 * @param small vectors and biases, of layers and others: decoded to F32 and always resident
 * @param global matrices outside the layers, such as the token embedding and the output projection
 * @param layers each layer's matrices other than its experts, in file order
 * @param experts each layer's expert matrices ({@code [columns, rows, experts]}), none in a layer
 *     without
 */
public record WeightLayout(
    List<TensorInfo> small,
    List<TensorInfo> global,
    List<List<TensorInfo>> layers,
    List<List<TensorInfo>> experts) {
  /** What a disk reads and writes in one piece: places in memory are chosen modulo this. */
  public static final int SECTOR = 4096;

  public WeightLayout {
    small = List.copyOf(small);
    global = List.copyOf(global);
    layers = List.copyOf(layers);
    experts = List.copyOf(experts);
  }

  /**
   * Sorts a file's tensors.
   *
   * @param layerCount layers of the model; tensors of further layers (such as those that predict
   *     more tokens) are left out
   * @throws ModelFileException if a layer has no tensors
   */
  public static WeightLayout of(ModelFile file, int layerCount) {
    List<TensorInfo> small = new ArrayList<>();
    List<TensorInfo> global = new ArrayList<>();
    List<List<TensorInfo>> layers = new ArrayList<>();
    List<List<TensorInfo>> experts = new ArrayList<>();
    for (int i = 0; i < layerCount; i++) {
      layers.add(new ArrayList<>());
      experts.add(new ArrayList<>());
    }
    for (TensorInfo tensor : file.tensors().values()) {
      int layer = layer(tensor.name());
      if (layer >= layerCount) {
        continue;
      }
      if (tensor.shape().size() == 1 || tensor.name().endsWith(".bias")) {
        small.add(tensor);
      } else if (layer < 0) {
        global.add(tensor);
      } else if (tensor.name().endsWith("_exps.weight")) {
        experts.get(layer).add(tensor);
      } else {
        layers.get(layer).add(tensor);
      }
    }
    for (int i = 0; i < layerCount; i++) {
      if (layers.get(i).isEmpty()) {
        throw new ModelFileException(
            file.path(),
            "blk." + i,
            "the model has " + layerCount + " layers; this one is missing");
      }
    }
    return new WeightLayout(small, global, layers, experts);
  }

  /** The layer that a tensor's name says it is in, or -1 for none. */
  public static int layer(String name) {
    int dot = name.indexOf('.', 4);
    if (!name.startsWith("blk.") || dot < 5 || dot > 9) {
      return -1;
    }
    int layer = 0;
    for (int i = 4; i < dot; i++) {
      if (name.charAt(i) < '0' || name.charAt(i) > '9') {
        return -1;
      }
      layer = 10 * layer + name.charAt(i) - '0';
    }
    return layer;
  }

  /** A tensor's name within its layer: {@code attn_q.weight} of {@code blk.0.attn_q.weight}. */
  public static String suffix(String name) {
    return name.substring(name.indexOf('.', 4) + 1);
  }

  /** Bytes of the F32 vectors, each at a multiple of 64. */
  public long smallBytes() {
    return small.stream().mapToLong(t -> (4 * t.values() + 63) / 64 * 64).sum();
  }

  /**
   * Bytes of memory that hold these tensors so that the disk can write straight into it.
   *
   * @return at most {@link #SECTOR} more for each tensor than the tensors have; mostly far less,
   *     because tensors that are neighbours in the file are neighbours here
   */
  public static long bytes(ModelFile file, List<TensorInfo> tensors) {
    long end = 0;
    for (TensorInfo tensor : tensors) {
      end = place(end, file.alignment(tensor, 0)) + tensor.bytes();
    }
    return end;
  }

  /** The first place from {@code from} on that is {@code alignment} modulo {@link #SECTOR}. */
  public static long place(long from, long alignment) {
    return from + Math.floorMod(alignment - from, (long) SECTOR);
  }

  /** Bytes of the largest single expert of any layer, with room to place its three matrices. */
  public long expertBytes() {
    long most = 0;
    for (List<TensorInfo> layer : experts) {
      long bytes = 0;
      for (TensorInfo tensor : layer) {
        bytes += tensor.bytes() / tensor.matrices() + SECTOR;
      }
      most = Math.max(most, bytes);
    }
    return (most + SECTOR - 1) / SECTOR * SECTOR;
  }
}
