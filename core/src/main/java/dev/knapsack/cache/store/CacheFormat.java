package dev.knapsack.cache.store;

import dev.knapsack.cache.HeadForm;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.PrefixStore;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;

/**
 * The layout of a saved cache; all numbers little-endian.
 *
 * <p>A header of {@value #HEADER} bytes: {@link #MAGIC}, the {@linkplain #VERSION version} (4
 * bytes), the number of sections (4), the length of the file (8), the number of tokens (4), zeros,
 * and at the end the CRC-32C of all that (4). The version is {@value #VERSION}, or {@value
 * #WITHOUT_CHECKPOINTS} if there are no checkpoints.
 *
 * <p>Then sections: a frame of {@value #FRAME} bytes (kind, layer, head, 0: 4 bytes each; length of
 * the content: 8), the content, and the CRC-32C of both (4). First the {@link #FINGERPRINT}: its
 * texts in order, each with its length (4) before it. Then the {@link #TOKENS}, 4 bytes each. Then
 * a {@link #HEAD} for each KV head of each layer: its parts, in order, with the stored tokens first
 * and the recent ones behind them. A part begins with the number of its tokens, the position of the
 * first, how many of them are compact, and flags: whether there are {@link #GAPS}, and whether keys
 * have some {@link #CHANNELS} alone, 4 bytes each; then, with gaps, the position of each (4), and
 * which channels those are (4 each); then each token's key and value: the compact ones in the
 * {@linkplain #compact compact form}, the others as they lay in the cache. Then, if there are any,
 * the {@link #CHECKPOINTS}: their positions, ascending, 4 bytes each. Then the {@link #STATE}s at
 * each of these and after the last token, of each layer that carries one: in F32, with the number
 * of the position, counted from 0, in place of the head.
 *
 * <p>A block of a prefix is a file of version {@value #BLOCK}: its header says, behind the number
 * of tokens, which parts follow (4 bytes, a bit for each by its number) and by which arithmetic,
 * where its tokens were computed as a prompt that depends on no other (8; 0 where not). Then come
 * the {@link #KEY}, which is the digest of the block and that of the one before it, the {@link
 * #TOKENS}, and the parts: pages as they lay in memory, in the order of layers and heads.
 */
final class CacheFormat {
  static final byte[] MAGIC = {'K', 'N', 'A', 'P', 'S', 'K', 'V', '\n'};
  static final int VERSION = 2;
  static final int BLOCK = 3;
  static final int WITHOUT_CHECKPOINTS = 1;
  static final int HEADER = 64;
  static final int FRAME = 24;
  static final int CHECKSUM = 4;
  static final int PART = 16;

  static final int GAPS = 1;
  static final int CHANNELS = 2;

  static final int FINGERPRINT = 1;
  static final int TOKENS = 2;
  static final int HEAD = 3;
  static final int STATE = 4;
  static final int CHECKPOINTS = 5;
  static final int KEY = 6;

  /** The first of the parts of a block, in their order. */
  static final int PARTS = 7;

  private CacheFormat() {}

  /** The kind of the section of a part of a block. */
  static int kind(PrefixStore.Part part) {
    return PARTS
        + switch (part) {
          case PAGES -> 0;
          case WINDOWS -> 1;
          case STATES -> 2;
        };
  }

  /** The bit that says in the header that there is such a part. */
  static int bit(PrefixStore.Part part) {
    return 1 << (kind(part) - PARTS);
  }

  /** The form of most tokens on disk: 4 bit, if that is less than they take in the cache. */
  static Format compact(Format format, int size) {
    boolean smaller =
        KvLayout.fits(Formats.Q4_0, size) && Formats.Q4_0.bytes(size) < format.bytes(size);
    return smaller ? Formats.Q4_0 : format;
  }

  /** Bytes of a compact token of a part. */
  static long compactBytes(KvPart part) {
    HeadForm form = part.form();
    return compact(form.keyFormat(), form.keySize()).bytes(form.keySize())
        + compact(form.valueFormat(), form.besideKey()).bytes(form.besideKey());
  }

  static boolean hasCompactForm(KvPart part) {
    return compactBytes(part) < part.form().tokenBytes();
  }

  /** Bytes of a part's content. */
  static long bytes(KvPart part, int count, int compact, int flags) {
    return PART
        + ((flags & GAPS) != 0 ? 4L * count : 0)
        + ((flags & CHANNELS) != 0 ? 4L * part.form().keySize() : 0)
        + compact * compactBytes(part)
        + (count - compact) * part.form().tokenBytes();
  }

  /** Flags of a part. */
  static int flags(KvPart part) {
    return (part.positions() == null ? 0 : GAPS) | (part.channels() == null ? 0 : CHANNELS);
  }

  /**
   * The number of tokens of each part of a head that are compact: all but the last page of them.
   */
  static int[] compactTokens(List<KvPart> parts, CacheStore.Precision precision, int page) {
    int[] compact = new int[parts.size()];
    if (precision == CacheStore.Precision.FOUR_BIT) {
      int left = Math.max(0, parts.stream().mapToInt(KvPart::count).sum() - page);
      for (int i = 0; i < compact.length; i++) {
        int n = Math.min(left, parts.get(i).count());
        compact[i] = hasCompactForm(parts.get(i)) ? n : 0;
        left -= n;
      }
    }
    return compact;
  }

  /** The number of sections of a cache with so many checkpoints. */
  static long sections(SequenceState state, int checkpoints) {
    List<LayerLayout> layers = state.layout().layers();
    int heads = state.layout().heads().stream().mapToInt(LayerLayout.Heads::kvHeads).sum();
    long states = layers.stream().filter(layer -> layer.stateBytes() > 0).count();
    return 2 + heads + states * (1 + checkpoints) + (checkpoints > 0 ? 1 : 0);
  }
}
