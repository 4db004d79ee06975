package dev.knapsack.model;

import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.arch.Families;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How the rows of a model's queries and keys have to move so that they lie as GGUF defines its
 * architecture.
 *
 * <p>The rotary embedding pairs the numbers of a head. The hub pairs the first half with the
 * second; GGUF's llama and those built like it pair neighbours, so that writers of GGUF interleave
 * the halves' rows. A file whose rows are not where its architecture has them says so in {@value
 * dev.knapsack.file.ModelFile#ROPE_PAIRS}; no other program reads that key.
 */
final class RowOrder {
  private static final Pattern QUERIES_OR_KEYS =
      Pattern.compile("blk\\.(\\d{1,4})\\.attn_[qk]\\.(weight|bias)");

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
    Matcher matcher = QUERIES_OR_KEYS.matcher(tensor.name());
    return layers.isEmpty() || !matcher.matches()
        ? 1
        : layers.get(Integer.parseInt(matcher.group(1))).keySize();
  }

  /** Where the row is, in halves, that comes {@code row}-th in pairs. */
  static long halved(long row, int headRows) {
    int inHead = (int) (row % headRows);
    return row - inHead + (long) (inHead % 2) * (headRows / 2) + inHead / 2;
  }

  /** The metadata of the file that is written: halves are paired there, or are what is usual. */
  MetadataBuilder written(MetadataBuilder metadata) {
    return named ? metadata.remove(ModelFile.ROPE_PAIRS) : metadata;
  }
}
