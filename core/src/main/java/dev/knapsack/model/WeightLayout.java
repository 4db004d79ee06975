package dev.knapsack.model;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A model's tensors by where they can be kept: small ones that always stay, each layer's matrices,
 * each layer's experts, and what lies outside the layers; all of it from the header.
 *
 * @param small vectors and biases, of layers and others: decoded to F32 and always resident
 * @param global matrices outside the layers, such as the output projection
 * @param tables tables of which a step reads the rows of its tokens: the token embedding, where it
 *     is not the output projection too, and others like it
 * @param reads rows that a token reads of each of these, by name
 * @param layers each layer's matrices other than its experts, in file order
 * @param experts each layer's expert matrices ({@code [columns, rows, experts]}), as its block
 *     declares them: gate and up, apart or in one, and down; none in a layer without
 */
public record WeightLayout(
    List<TensorInfo> small,
    List<TensorInfo> global,
    List<TensorInfo> tables,
    Map<String, Integer> reads,
    List<List<TensorInfo>> layers,
    List<List<TensorInfo>> experts) {
  /**
   * The bytes that a disk reads and writes in one piece: places in memory are chosen modulo this.
   */
  public static final int SECTOR = 4096;

  public WeightLayout {
    small = List.copyOf(small);
    global = List.copyOf(global);
    tables = List.copyOf(tables);
    reads = Map.copyOf(reads);
    layers = List.copyOf(layers);
    experts = List.copyOf(experts);
  }

  /**
   * Sorts the tensors that a model declares; others that its file has, such as of further layers
   * that predict more tokens, are left out.
   */
  public static WeightLayout of(ModelFile file, ModelSpec spec) {
    Map<String, TensorSpec> declared = declared(spec);
    List<TensorInfo> small = new ArrayList<>();
    List<TensorInfo> global = new ArrayList<>();
    List<TensorInfo> tables = new ArrayList<>();
    Map<String, Integer> reads = new HashMap<>();
    List<List<TensorInfo>> layers = new ArrayList<>();
    List<List<TensorInfo>> experts = new ArrayList<>();
    for (int i = 0; i < spec.layers().size(); i++) {
      layers.add(new ArrayList<>());
      experts.add(new ArrayList<>());
    }
    for (TensorInfo tensor : file.tensors().values()) {
      TensorSpec known = declared.get(tensor.name());
      if (known == null) {
        continue;
      }
      Role role = known.role();
      if (role.isSmall()) {
        small.add(tensor);
      } else if (role == Role.EMBEDDING && !tensor.name().equals(spec.outputTensor())) {
        tables.add(tensor);
        reads.put(tensor.name(), known.reads());
      } else if (layer(tensor.name()) < 0) {
        global.add(tensor);
      } else if (role != Role.EXPERTS) {
        layers.get(layer(tensor.name())).add(tensor);
      }
    }
    for (int i = 0; i < spec.layers().size(); i++) {
      for (TensorSpec tensor : spec.layers().get(i).tensors()) {
        if (tensor.role() == Role.EXPERTS) {
          TensorInfo whole = file.tensors().get(name(i, String.valueOf(tensor.fused())));
          TensorInfo found = whole == null ? file.tensors().get(name(i, tensor.name())) : whole;
          if (!experts.get(i).contains(found)) {
            experts.get(i).add(found);
          }
        }
      }
    }
    return new WeightLayout(small, global, tables, reads, layers, experts);
  }

  /** All tensors that a model may have, by their names in a file; of fused ones, a part. */
  static Map<String, TensorSpec> declared(ModelSpec spec) {
    Map<String, TensorSpec> declared = new HashMap<>();
    for (TensorSpec tensor : spec.tensors()) {
      declared.put(tensor.name(), tensor);
    }
    for (int l = 0; l < spec.layers().size(); l++) {
      for (TensorSpec tensor : spec.layers().get(l).tensors()) {
        declared.put(name(l, tensor.name()), tensor);
        if (tensor.fused() != null) {
          declared.put(name(l, tensor.fused()), tensor);
        }
      }
    }
    return declared;
  }

  /** The name in a file of what a layer calls {@code suffix}. */
  public static String name(int layer, String suffix) {
    return "blk." + layer + "." + suffix;
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

  /**
   * The tables that stay on disk, of which rows are read.
   *
   * @param gathered whether those do of which steps read rows alone
   * @param outputStreamed whether the output projection does; it is a table where it is the token
   *     embedding too
   */
  public List<TensorInfo> onDisk(boolean gathered, boolean outputStreamed) {
    List<TensorInfo> onDisk = new ArrayList<>(gathered ? tables : List.of());
    if (outputStreamed) {
      global.stream().filter(t -> t.name().equals(ModelSpec.EMBEDDING)).forEach(onDisk::add);
    }
    return onDisk;
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

  /**
   * Bytes of memory that a row of any of these tables can be read into, in the sectors that it is
   * in; 0 if there are none.
   */
  public static long rowBytes(List<TensorInfo> tables) {
    long most = 0;
    for (TensorInfo table : tables) {
      most = Math.max(most, table.format().bytes(table.shape().getFirst()));
    }
    return tables.isEmpty() ? 0 : Math.ceilDiv(most + SECTOR - 1, SECTOR) * SECTOR;
  }

  /** Rows that a token reads of a table: one, where it is the output projection too. */
  public int reads(TensorInfo table) {
    return reads.getOrDefault(table.name(), 1);
  }

  /** Bytes of the largest single expert of any layer, with room to place its matrices. */
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
