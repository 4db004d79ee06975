package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import org.jspecify.annotations.Nullable;

/**
 * The form of tokens that count less: in formats of fewer bits, or in fewer numbers, or both.
 *
 * @param keys one of {@link dev.knapsack.tensor.Formats#cache()}; null for that of other tokens
 * @param values one of them; null for that of other tokens
 * @param dropped percent of a key's channels, or of its numbers by {@link KvBounds#bases}, that are
 *     left out: as near to that as whole blocks of the format allow
 * @param droppedOfValues the same of a value's numbers, by bases alone
 */
public record CoarseForm(
    @Nullable Format keys, @Nullable Format values, int dropped, int droppedOfValues) {
  /** Machine code takes so many numbers at a time. */
  private static final int LANES = 8;

  public CoarseForm {
    for (int percent : new int[] {dropped, droppedOfValues}) {
      if (percent < 0 || percent > 99) {
        throw new IllegalArgumentException("0 to 99 percent of channels go, not " + percent);
      }
    }
  }

  /** With whole keys and values. */
  public CoarseForm(Format keys, Format values) {
    this(keys, values, 0, 0);
  }

  /** In the formats of other tokens, without some channels of keys. */
  public CoarseForm(int dropped) {
    this(null, null, dropped, 0);
  }

  /** The format of keys, where those of other tokens are in this one. */
  public Format keysBeside(Format others) {
    return keys == null ? others : keys;
  }

  /** The format of values, where those of other tokens are in this one. */
  public Format valuesBeside(Format others) {
    return values == null ? others : values;
  }

  /**
   * Numbers in a key.
   *
   * @param size those of other tokens
   * @param others the format of other tokens
   */
  public int keySize(int size, Format others) {
    return held(size, keysBeside(others), dropped);
  }

  /** Numbers in a value; see {@link #keySize}. */
  public int valueSize(int size, Format others) {
    return held(size, valuesBeside(others), droppedOfValues);
  }

  private static int held(int size, Format format, int dropped) {
    int unit = Math.max(LANES, format.blockValues());
    if (dropped == 0 || size % unit != 0) {
      return size;
    }
    return unit * Math.max(1, Math.round((100 - dropped) / 100f * size / unit));
  }
}
