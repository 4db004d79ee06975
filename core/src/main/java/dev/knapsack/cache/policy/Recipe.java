package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvBounds;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.Retrieval;
import dev.knapsack.cache.StepObserver;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A policy made of four parts: a published method is a combination, and combinations nobody has
 * published yet are as good.
 *
 * <p>Layers with a sliding window are left as they are: they forget by themselves.
 *
 * @param scorer which tokens matter
 * @param allocator how tokens are divided among layers and heads
 * @param action what happens to the others
 * @param trigger when
 */
public record Recipe(Scorer scorer, Allocator allocator, Action action, Trigger trigger)
    implements KvPolicy {
  public Recipe {
    Optional<Moments> one = scorer.moments();
    Optional<Moments> other = allocator.moments();
    if (one.isPresent() && other.isPresent() && !one.equals(other)) {
      throw new IllegalArgumentException(
          "%s and %s are to look through the same number of rows"
              .formatted(scorer.name(), allocator.name()));
    }
  }

  /**
   * About so many heads are scored at a time: work for all, and not all of their scores at once.
   */
  private static final int HEADS_TOGETHER = 16;

  /** The moments that its parts want to know. */
  Optional<Moments> moments() {
    return scorer.moments().or(allocator::moments);
  }

  /** The names that can be asked for. */
  public static final List<String> NAMES = RecipeText.names();

  /** The published methods that can be asked for by name. */
  public static final List<Method> PUBLISHED = RecipeText.METHODS;

  /**
   * The recipe of this name: {@code full}, {@code snapkv(1024)}, or as {@link #name} writes it,
   * with its parts in any order.
   *
   * @throws IllegalArgumentException if there is none: says which part is wrong, and what there is
   */
  public static KvPolicy of(String name) {
    return name.strip().equalsIgnoreCase("full") ? FULL : RecipeText.read(name);
  }

  /**
   * StreamingLLM (Xiao et al., arXiv 2309.17453), with keys at the positions at which they were
   * read: the first {@code sinks} tokens and the last {@code recent}.
   */
  public static Recipe streaming(int sinks, int recent) {
    return new Recipe(
        new Scorer.Streaming(sinks),
        new Allocator.Uniform(Size.of(Math.addExact(sinks, recent))),
        Action.EVICT,
        new Trigger.Block(KvLayout.PAGE_TOKENS));
  }

  @Override
  public String name() {
    return "score=%s budget=%s action=%s when=%s"
        .formatted(scorer.name(), allocator.name(), action.name(), trigger.name());
  }

  @Override
  public Set<Companion<?>> lacks() {
    return Stream.of(scorer.lacks(), allocator.lacks(), action.lacks())
        .flatMap(Set::stream)
        .collect(Collectors.toUnmodifiableSet());
  }

  @Override
  public Recipe with(Companion.Reader files) {
    return new Recipe(scorer.with(files), allocator.with(files), action.with(files), trigger);
  }

  @Override
  public boolean wantsSentences() {
    return action.wantsSentences();
  }

  @Override
  public KvBounds bounds() {
    return new RecipeBounds(allocator, action, trigger);
  }

  @Override
  public StepObserver observer() {
    return new RecipeObserver(this);
  }

  @Override
  public boolean remembers() {
    return scorer.remembers() || retrieval().isPresent();
  }

  @Override
  public Optional<Retrieval> retrieval() {
    return action.retrieval();
  }

  @Override
  public void compress(KvCache cache) {
    int ahead = cache.text().promptEnd() - cache.length();
    if (!trigger.due(Integer.MAX_VALUE, ahead)) {
      return;
    }
    List<LayerLayout.Heads> layers = cache.layout().heads();
    int[] keep = allocator.tokens(cache);
    List<Integer> due = new ArrayList<>();
    for (int l = 0; l < layers.size(); l++) {
      if (layers.get(l).seeAll() && due(cache, l, keep[l])) {
        due.add(l);
      }
    }
    double[] full = due.isEmpty() ? new double[0] : allocator.full(cache);
    for (int from = 0; from < due.size(); ) {
      int heads = 0;
      int to = from;
      while (to < due.size() && heads < HEADS_TOGETHER) {
        heads += layers.get(due.get(to++)).kvHeads();
      }
      compress(cache, due.subList(from, to), keep, full);
      from = to;
    }
    if (ahead <= 0 && !trigger.countsRows(-1, Integer.MAX_VALUE)) {
      // Nothing is forgotten after the prompt.
      cache.view().forgetMemory();
      if (!scorer.remembers()) {
        cache.view().forgetNumbers();
      }
    }
  }

  private boolean due(KvCache cache, int layer, int keep) {
    int surplus = surplus(cache, layer, keep);
    return surplus > 0 && trigger.due(surplus, cache.text().promptEnd() - cache.length());
  }

  /** The tokens that heads hold beyond those that they keep, on average. */
  int surplus(KvCache cache, int layer, int keep) {
    int heads = cache.layout().heads(layer).kvHeads();
    // Heads may keep different numbers, but all of them grow alike.
    long held = 0;
    for (int h = 0; h < heads; h++) {
      CachedHead head = cache.head(layer, h);
      held += head.count() - head.coarse() + head.room() + action.counted(head.coarse());
    }
    return (int) Math.ceilDiv(held, heads) - keep;
  }

  /** A head of a layer that is due. */
  private record Place(int layer, int head) {}

  /** Heads are scored and brought to their size by all workers, each head by one. */
  private void compress(KvCache cache, List<Integer> layers, int[] keep, double[] full) {
    List<Place> places = new ArrayList<>();
    for (int l : layers) {
      for (int h = 0; h < cache.layout().heads(l).kvHeads(); h++) {
        places.add(new Place(l, h));
      }
    }
    float[][] scores = new float[places.size()][];
    cache.forEach(
        scores.length,
        i -> {
          Place place = places.get(i);
          scores[i] = scores(cache.head(place.layer, place.head), keep[place.layer]);
        });
    int[] kept = new int[scores.length];
    for (int l : layers) {
      int first = places.indexOf(new Place(l, 0));
      int heads = cache.layout().heads(l).kvHeads();
      float[][] theirs = Arrays.copyOfRange(scores, first, first + heads);
      int[] divided = allocator.divide(cache, l, trigger.stay(keep[l]), theirs);
      System.arraycopy(divided, 0, kept, first, heads);
    }
    IntConsumer apply =
        i -> {
          Place place = places.get(i);
          CachedHead head = cache.head(place.layer, place.head);
          action.apply(head, kept[i], full[place.layer], scores[i]);
        };
    if (action.retrieval().isPresent()) {
      IntStream.range(0, kept.length).forEach(apply); // heads share a file
    } else {
      cache.forEach(kept.length, apply);
    }
  }

  private float[] scores(CachedHead head, int keep) {
    float[] scores = new float[head.count()];
    scorer.score(head, keep, scores);
    // What counted less once stays so.
    return action.forgetsCoarse()
        ? scores
        : Arrays.copyOfRange(scores, head.coarse(), scores.length);
  }

  /** The places of the {@code count} highest scores, ascending; of equal ones the later. */
  static int[] best(float[] scores, int count) {
    if (count == 0) {
      return new int[0];
    }
    float[] sorted = scores.clone();
    Arrays.sort(sorted);
    float least = sorted[sorted.length - count];
    int above = 0;
    for (float score : scores) {
      above += Float.compare(score, least) > 0 ? 1 : 0;
    }
    int[] kept = new int[count];
    int equal = count - above;
    int at = count;
    for (int i = scores.length - 1; i >= 0; i--) {
      int than = Float.compare(scores[i], least);
      if (than > 0 || (than == 0 && equal-- > 0)) {
        kept[--at] = i;
      }
    }
    return kept;
  }

  @Override
  public String toString() {
    return name();
  }
}
