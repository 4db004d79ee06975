package dev.knapsack.model;

import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.arch.Families;
import java.util.List;
import java.util.Optional;

/**
 * The order in which the rows of a model's queries and keys are written, so that they lie as GGUF
 * defines its architecture.
 *
 * <p>The rotary embedding pairs the numbers of a head. The hub pairs the first half with the
 * second; GGUF's llama and those built like it pair neighbours, so that writers of GGUF interleave
 * the halves' rows. A file whose rows are not where its architecture has them says so in {@value
 * dev.knapsack.file.ModelFile#ROPE_PAIRS}; no other program reads that key.
 */
final class RowOrder {
  private final boolean named;

  /** Of models whose rows move; empty for the others. */
  private final List<LayerSpec> layers;

  private RowOrder(boolean named, List<LayerSpec> layers) {
    this.named = named;
    this.layers = layers;
  }

  static RowOrder of(ModelFile source) {
    return new RowOrder(
        source.metadata().findString(ModelFile.ROPE_PAIRS).equals(Optional.of("half")),
        Families.rowsInHalves(source) ? Families.spec(source).layers() : List.of());
  }

  /** Rows that move among themselves, those of a head; 1 where rows stay. */
  int headRows(TensorInfo tensor) {
    int layer = WeightLayout.layer(tensor.name());
    if (layer < 0 || layer >= layers.size()) {
      return 1;
    }
    Attention attention = layers.get(layer).attention();
    return attention != null && attention.isPaired(WeightLayout.suffix(tensor.name()))
        ? attention.keySize()
        : 1;
  }

  /** The place, in halves, of the row that comes {@code row}-th in pairs. */
  static long halved(long row, int headRows) {
    int inHead = (int) (row % headRows);
    return row - inHead + (long) (inHead % 2) * (headRows / 2) + inHead / 2;
  }

  /** The metadata of the file that is written: halves are paired there, or are what is usual. */
  MetadataBuilder written(MetadataBuilder metadata) {
    return named ? metadata.remove(ModelFile.ROPE_PAIRS) : metadata;
  }
}
