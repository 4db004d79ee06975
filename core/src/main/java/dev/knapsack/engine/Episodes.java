package dev.knapsack.engine;

import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A long text that has been read once for each of its topics, so that a question meets a cache that
 * was compressed with its topic in mind: EpiCache (Kim et al., arXiv 2509.17396).
 *
 * <p>The text's segments are grouped by what they are about. For each group, an episode, the whole
 * text is read, and the rows that a policy {@linkplain dev.knapsack.cache.StepObserver#lookahead
 * looks ahead} with are the segment in the middle of the group. One episode's cache is in memory,
 * the others are in a store until a question is about them. So memory is that of one {@link
 * Reading}, and reading takes as many times as long as there are episodes.
 *
 * <p>What a segment or question is about is the mean of its tokens' embeddings in the model itself,
 * those of tokens that most segments have counting little: no second model is needed.
 *
 * <p>Used by one thread at a time, with what it gives; to be closed before the engine.
 */
public final class Episodes implements AutoCloseable {
  private final Engine engine;
  private final CacheStore store;
  private final String name;
  private final Topics topics;
  private final Clusters clusters;
  private long peak;

  /** The episode in memory. */
  private @Nullable Reading here;

  private int hereAt = -1;

  private Episodes(Engine engine, CacheStore store, String name, Topics topics, Clusters clusters) {
    this.engine = engine;
    this.store = store;
    this.name = name;
    this.topics = topics;
    this.clusters = clusters;
  }

  /**
   * Reads a text.
   *
   * @param segments its tokens, in parts of a few sentences
   * @param most episodes; there are fewer where fewer segments differ
   * @param store where those are that are not in memory
   * @param name of their files there, with a number behind it
   * @param seed segments are grouped by chance
   * @throws ContextExceededException if there are more tokens than the plan's context
   * @throws dev.knapsack.error.BudgetExceededException if the budget has no room for them
   * @throws dev.knapsack.error.CacheNotSavedException if an episode cannot be saved
   */
  public static Episodes read(
      Engine engine, List<int[]> segments, int most, CacheStore store, String name, long seed) {
    int[] text = segments.stream().flatMapToInt(Arrays::stream).toArray();
    if (most < 1 || text.length == 0) {
      throw new IllegalArgumentException(
          "%d episodes of %,d tokens; give at least one of each.".formatted(most, text.length));
    }
    Topics topics = new Topics(engine, segments);
    float[][] vectors = segments.stream().map(topics::of).toArray(float[][]::new);
    Clusters clusters = Clusters.of(vectors, most, seed);
    Episodes episodes = new Episodes(engine, store, name, topics, clusters);
    try {
      for (int e = clusters.count() - 1; e >= 0; e--) {
        episodes.read(e, text, segments.get(clusters.medoid(vectors, e)));
      }
    } catch (RuntimeException | Error e) {
      episodes.close();
      throw e;
    }
    return episodes;
  }

  private void read(int episode, int[] text, int[] patch) {
    leave();
    here = engine.read(text, patch, (_, _) -> {});
    hereAt = episode;
    peak = Math.max(peak, here.peakBytes());
    here.save(store, file(episode), CacheStore.Precision.AS_STORED);
  }

  private String file(int episode) {
    return name + "-" + episode;
  }

  /**
   * The parts of a text that {@link #read} takes.
   *
   * @param sentences of each part; of the last there may be fewer
   */
  public static List<int[]> segments(Tokenizer tokenizer, int[] text, int sentences) {
    BitSet ends = SentenceEnds.of(tokenizer);
    List<int[]> segments = new ArrayList<>();
    int from = 0;
    int ended = 0;
    for (int i = 0; i < text.length; i++) {
      ended += ends.get(text[i]) ? 1 : 0;
      if (ended == sentences || i == text.length - 1) {
        segments.add(Arrays.copyOfRange(text, from, i + 1));
        from = i + 1;
        ended = 0;
      }
    }
    return segments;
  }

  public int count() {
    return clusters.count();
  }

  /** The episode that a segment of the text belongs to. */
  public int of(int segment) {
    return clusters.of()[segment];
  }

  /** The episode that a question is about: the one whose mean it is nearest to. */
  public int about(int[] question) {
    return clusters.nearest(topics.of(question));
  }

  /**
   * The reading of an episode, to be forked for each question; until another is asked for, before
   * which forks are to be closed: only one is in memory.
   *
   * @throws dev.knapsack.error.CacheFileException if it is no longer in the store
   * @throws dev.knapsack.error.BudgetExceededException if the budget has no room for it
   */
  public Reading reading(int episode) {
    if (here == null || hereAt != episode) {
      leave();
      here = engine.restore(store, file(episode));
      hereAt = episode;
    }
    return here;
  }

  /** The most bytes that an episode's pages took while it was read. */
  public long peakBytes() {
    return peak;
  }

  private void leave() {
    if (here != null) {
      here.close();
      here = null;
    }
  }

  /** Gives its memory back, and removes its files. */
  @Override
  public void close() {
    leave();
    IntStream.range(0, count()).forEach(episode -> store.remove(file(episode)));
  }
}
