package dev.knapsack.model;

import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Hadamard;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * {@link HeadBases} as a GGUF file: of each layer without a sliding window, in F32, {@code
 * blk.N.kv_keys_in}, {@code kv_keys_out}, {@code kv_values_in} and {@code kv_values_out}, each with
 * a square of directions for each KV head, the first of which say most. {@code knapsack.model} says
 * of which model.
 */
public final class HeadBasesFile implements HeadBases {
  private static final String MODEL = "knapsack.model";

  private final Path path;
  private final String identity;

  private HeadBasesFile(Path path, String identity) {
    this.path = path;
    this.identity = identity;
  }

  /**
   * Directions of a layer's heads: of each head as many as its vectors have numbers, one after the
   * other.
   *
   * @param in what vectors are multiplied by
   * @param out what they are put together from again
   */
  public record Squares(float[] in, float[] out) {}

  /** The directions that were found of each layer. */
  public interface Source {
    Squares keys(int layer);

    Squares values(int layer);
  }

  /**
   * Writes it whole, or leaves what is there.
   *
   * @param model what tells the model from others
   * @param layout of its cache
   * @throws ModelFileException if it cannot be written
   */
  public static void write(Path path, String model, KvLayout layout, Source source) {
    List<TensorInfo> tensors = new ArrayList<>();
    for (int l = 0; l < layout.layers().size(); l++) {
      if (reduced(layout, l)) {
        for (boolean keys : new boolean[] {true, false}) {
          tensors.add(square(layout, l, keys, "in"));
          tensors.add(square(layout, l, keys, "out"));
        }
      }
    }
    MetadataBuilder metadata =
        new MetadataBuilder().string("general.architecture", "cskv").string(MODEL, model);
    try (GgufWriter writer = GgufWriter.create(path, metadata.build(path), tensors)) {
      for (int l = 0; l < layout.layers().size(); l++) {
        if (reduced(layout, l)) {
          for (boolean keys : new boolean[] {true, false}) {
            Squares squares = keys ? source.keys(l) : source.values(l);
            write(writer, square(layout, l, keys, "in"), squares.in());
            write(writer, square(layout, l, keys, "out"), squares.out());
          }
        }
      }
      writer.finish();
    }
  }

  private static void write(GgufWriter writer, TensorInfo tensor, float[] numbers) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes(), 64);
      MemorySegment.copy(numbers, 0, bytes, ValueLayout.JAVA_FLOAT, 0, numbers.length);
      writer.write(tensor, bytes);
    }
  }

  private static boolean reduced(KvLayout layout, int layer) {
    LayerLayout.Heads heads = layout.heads(layer);
    return heads.seeAll();
  }

  private static TensorInfo square(KvLayout layout, int layer, boolean keys, String side) {
    LayerLayout.Heads heads = layout.heads(layer);
    long size = keys ? heads.channels() : heads.valueSize();
    String name = "blk.%d.kv_%s_%s".formatted(layer, keys ? "keys" : "values", side);
    return new TensorInfo(name, Formats.F32, List.of(size, size * heads.kvHeads()));
  }

  /**
   * The bases of this file, once it is known to be of this model; they are not read yet.
   *
   * @param model what tells the model from others
   * @throws ModelFileException if it is of another, or damaged
   */
  static HeadBasesFile open(Path path, String model, KvLayout layout) {
    try (ModelFile file = ModelFile.open(path)) {
      if (!file.metadata().findString(MODEL).equals(Optional.of(model))) {
        throw new ModelFileException(
            path, MODEL, "was measured with other weights; " + HeadBases.FILE.made());
      }
      for (int l = 0; l < layout.layers().size(); l++) {
        if (reduced(layout, l)) {
          for (boolean keys : new boolean[] {true, false}) {
            check(file, square(layout, l, keys, "in"));
            check(file, square(layout, l, keys, "out"));
          }
        }
      }
      return new HeadBasesFile(path, ModelIdentity.of(file));
    }
  }

  private static void check(ModelFile file, TensorInfo wanted) {
    TensorInfo tensor = file.tensors().get(wanted.name());
    if (!wanted.equals(tensor)) {
      throw new ModelFileException(
          file.path(),
          wanted.name(),
          tensor == null
              ? "is missing"
              : "is %s of %s; the model needs %s of F32"
                  .formatted(tensor.shape(), tensor.format().name(), wanted.shape()));
    }
  }

  @Override
  public String identity() {
    return identity;
  }

  @Override
  public long bytes(KvLayout layout) {
    long numbers = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      for (boolean keys : new boolean[] {true, false}) {
        long heads = layout.heads(l).kvHeads();
        numbers += 2 * heads * held(layout, l, keys) * size(layout, l, keys);
      }
    }
    return numbers * Float.BYTES;
  }

  private static int size(KvLayout layout, int layer, boolean keys) {
    LayerLayout.Heads heads = layout.heads(layer);
    return keys ? heads.keySize() : heads.valueSize();
  }

  /** Directions that are wanted of a head: none where all of it is held. */
  private static int held(KvLayout layout, int layer, boolean keys) {
    int held = keys ? layout.heldOfKeys(layer) : layout.heldOfValues(layer);
    return reduced(layout, layer) && held < size(layout, layer, keys) ? held : 0;
  }

  @Override
  public List<List<Head>> read(KvLayout layout, MemorySegment memory) {
    try (ModelFile file = ModelFile.open(path)) {
      if (!ModelIdentity.of(file).equals(identity)) {
        throw new ModelFileException(path, "file", "has changed");
      }
      List<List<Head>> layers = new ArrayList<>();
      long at = 0;
      for (int l = 0; l < layout.layers().size(); l++) {
        List<Head> heads = new ArrayList<>();
        for (int h = 0; reduced(layout, l) && h < layout.heads(l).kvHeads(); h++) {
          @Nullable Reduction[] both = new Reduction[2];
          for (boolean keys : new boolean[] {true, false}) {
            int held = held(layout, l, keys);
            if (held > 0) {
              long bytes = Formats.F32.bytes((long) held * size(layout, l, keys));
              Matrix in = read(file, layout, l, h, keys, "in", memory.asSlice(at, bytes));
              Matrix out = read(file, layout, l, h, keys, "out", memory.asSlice(at + bytes, bytes));
              both[keys ? 0 : 1] = new Reduction.Directions(in, out);
              at += 2 * bytes;
            }
          }
          heads.add(new Head(both[0], both[1]));
        }
        layers.add(heads);
      }
      return layers;
    }
  }

  private static Matrix read(
      ModelFile file,
      KvLayout layout,
      int layer,
      int head,
      boolean keys,
      String side,
      MemorySegment data) {
    int size = size(layout, layer, keys);
    TensorInfo tensor = square(layout, layer, keys, side);
    file.read(tensor, Formats.F32.bytes((long) head * size * size), data);
    Matrix directions = new Matrix(Formats.F32, held(layout, layer, keys), size, data);
    if (layout.transform() == KvTransform.ROTATED) {
      for (int row = 0; row < directions.rows(); row++) {
        Hadamard.rotate(data, directions.rowOffset(row), size);
      }
    }
    CoarseForm form = layout.policy().bounds().coarse().orElseThrow();
    boolean blocks =
        (keys ? form.keysBeside(layout.keyFormat()) : form.valuesBeside(layout.valueFormat()))
                .blockValues()
            > 1;
    if (blocks) {
      mix(directions);
    }
    return directions;
  }

  /**
   * Numbers of one block are to be alike in size, and the first directions say much more than the
   * others: rotated among themselves, they span what they spanned.
   */
  private static void mix(Matrix directions) {
    float[] column = new float[directions.rows()];
    for (int c = 0; c < directions.columns(); c++) {
      for (boolean back : new boolean[] {false, true}) {
        for (int row = 0; row < column.length; row++) {
          long at = directions.rowOffset(row) + 4L * c;
          if (back) {
            directions.data().set(ValueLayout.JAVA_FLOAT, at, column[row]);
          } else {
            column[row] = directions.data().get(ValueLayout.JAVA_FLOAT, at);
          }
        }
        if (!back) {
          Hadamard.rotate(column, 0, column.length);
        }
      }
    }
  }
}
