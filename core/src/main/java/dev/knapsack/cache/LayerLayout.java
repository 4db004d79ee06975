package dev.knapsack.cache;

/** The layout of what one layer of a model remembers of a sequence. */
public sealed interface LayerLayout {
  /**
   * Keys and values of each token, head by head.
   *
   * @param kvHeads key and value heads
   * @param keySize numbers in a cached key head
   * @param valueSize numbers in a value head
   * @param window sliding window in tokens; 0 for none
   * @param group query heads that share a KV head
   * @param sketch how many directions keys have for each of their channels ({@link
   *     dev.knapsack.tensor.SketchMatrix}); 0 if they are cached channel by channel
   */
  record Heads(int kvHeads, int keySize, int valueSize, int window, int group, int sketch)
      implements LayerLayout {
    /** Of a layer without attention. */
    public static final Heads NONE = new Heads(0, 0, 0, 0, 1);

    /** Not sketched. */
    public Heads(int kvHeads, int keySize, int valueSize, int window, int group) {
      this(kvHeads, keySize, valueSize, window, group, 0);
    }

    /** Numbers in a key before it is sketched, and in a query. */
    public int channels() {
      return keySize / Math.max(1, sketch);
    }

    /** Says whether there are heads that see all tokens: without a sliding window. */
    public boolean seeAll() {
      return kvHeads > 0 && window == 0;
    }

    /** The first position that the token at {@code position} sees. */
    int firstSeen(int position) {
      return window == 0 ? 0 : Math.max(0, position - window + 1);
    }

    /** The same with keys of this many directions for each channel, or with keys as they are. */
    public Heads sketched(int times) {
      return new Heads(kvHeads, channels() * Math.max(1, times), valueSize, window, group, times);
    }
  }

  /**
   * A row of each token that all query heads read, of which its first numbers are the value and all
   * are the key: attention whose keys and values are projections of few numbers (multi-head latent
   * attention). It is kept as one KV head whose values are not stored beside its keys.
   *
   * @param keySize numbers in a row
   * @param valueSize those of them, the first, that are the value
   * @param group query heads
   */
  record Latent(int keySize, int valueSize, int group) implements LayerLayout {
    public Latent {
      if (valueSize < 1 || keySize < valueSize || group < 1) {
        throw new IllegalArgumentException(
            "A value of %d numbers is no beginning of a key of %d, for %d heads"
                .formatted(valueSize, keySize, group));
      }
    }

    /** Its one KV head. */
    Heads head() {
      return new Heads(1, keySize, valueSize, 0, group);
    }
  }

  /**
   * A state of the same size after every token, made of the one before it.
   *
   * @param bytes of the state of one sequence, in F32
   */
  record Recurrent(long bytes) implements LayerLayout {
    public Recurrent {
      if (bytes < 1 || bytes % Float.BYTES != 0) {
        throw new IllegalArgumentException(
            "A state is of whole F32 numbers, at least one; not of %,d bytes".formatted(bytes));
      }
    }
  }

  /** Nothing. */
  record None() implements LayerLayout {}
}
