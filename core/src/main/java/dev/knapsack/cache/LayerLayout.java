package dev.knapsack.cache;

import java.util.stream.Stream;

/** The layout of what one layer of a model remembers of a sequence. */
public sealed interface LayerLayout {
  /** The heads whose keys and values are remembered: {@link Heads#NONE} if there are none. */
  default Heads heads() {
    return Heads.NONE;
  }

  /** Bytes of the state that is carried from token to token; 0 if there is none. */
  default long stateBytes() {
    return 0;
  }

  /** Says whether checkpoints must hold its state to the bit. */
  default boolean isExact() {
    return false;
  }

  /** The same with keys of this many directions for each channel, or with keys as they are. */
  default LayerLayout sketched(int times) {
    return this;
  }

  /**
   * The memory of a layer of which each part remembers one of these: the heads of one of them, and
   * the states of all, one after the other.
   */
  static LayerLayout all(Stream<LayerLayout> parts) {
    return parts.reduce(new None(), LayerLayout::and);
  }

  private LayerLayout and(LayerLayout other) {
    if (this instanceof None || other instanceof None) {
      return this instanceof None ? other : this;
    }
    if (this instanceof Latent || other instanceof Latent) {
      throw new IllegalArgumentException("A layer with latent attention remembers nothing beside");
    }
    if (heads().kvHeads() > 0 && other.heads().kvHeads() > 0) {
      throw new IllegalArgumentException("A layer has the keys and values of one attention");
    }
    Heads heads = heads().kvHeads() > 0 ? heads() : other.heads();
    long bytes = stateBytes() + other.stateBytes();
    Recurrent state = new Recurrent(bytes, isExact() || other.isExact());
    return heads.kvHeads() > 0 ? new Both(heads, state) : state;
  }

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

    @Override
    public Heads heads() {
      return this;
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

    @Override
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
    @Override
    public Heads heads() {
      return new Heads(1, keySize, valueSize, 0, group);
    }
  }

  /**
   * A state of the same size after every token, made of the one before it.
   *
   * @param bytes of the state of one sequence, in F32
   * @param isExact whether it holds numbers of tokens, which checkpoints must not round
   */
  record Recurrent(long bytes, boolean isExact) implements LayerLayout {
    public Recurrent(long bytes) {
      this(bytes, false);
    }

    public Recurrent {
      if (bytes < 1 || bytes % Float.BYTES != 0) {
        throw new IllegalArgumentException(
            "A state is of whole F32 numbers, at least one; not of %,d bytes".formatted(bytes));
      }
    }

    @Override
    public long stateBytes() {
      return bytes;
    }
  }

  /** Keys and values of each token, and beside them a state. */
  record Both(Heads heads, Recurrent state) implements LayerLayout {
    @Override
    public long stateBytes() {
      return state.bytes;
    }

    @Override
    public boolean isExact() {
      return state.isExact;
    }

    @Override
    public Both sketched(int times) {
      return new Both(heads.sketched(times), state);
    }
  }

  /** Nothing. */
  record None() implements LayerLayout {}
}
