package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@link RetrievalShare} within a number of tokens: as many KV heads keep all as there is room for
 * beside what the others keep, and the next one what is left over. A sequence that grows has room
 * for fewer that keep all; the one that looks least far keeps ever less then, until it is one of
 * the others.
 *
 * @param tokens that a head keeps on average over all layers
 * @param others tokens that each of the others keeps
 */
record RetrievalBudget(Size tokens, Size others, @Nullable Calibration figures)
    implements HeadSizes {
  RetrievalBudget {
    tokens.positive();
    others.positive();
  }

  @Override
  public String name() {
    return "duo(" + tokens + "," + others + ")";
  }

  @Override
  public RetrievalBudget with(Companion.Reader files) {
    return new RetrievalBudget(tokens, others, files.read(Calibration.FILE));
  }

  @Override
  public int[] each(KvLayout layout, int layer, int prompt, int length) {
    List<Place> places = HeadSizes.ranked(HeadSizes.given(figures), layout, Calibration.Head::far);
    Room room = new Room(places.size(), tokens.most(prompt), others.most(prompt));
    int[] each = new int[layout.heads(layer).kvHeads()];
    for (int i = 0; i < places.size(); i++) {
      if (places.get(i).layer() == layer) {
        each[places.get(i).head()] = (int) Math.min(Integer.MAX_VALUE, room.of(i, length));
      }
    }
    return each;
  }

  /**
   * The room for heads that keep all of a sequence.
   *
   * @param heads of all layers together
   * @param average tokens for each
   * @param least tokens for each in any case
   */
  private record Room(int heads, long average, long least) {
    Room(int heads, long average, long least) {
      this.heads = heads;
      this.average = average;
      this.least = Math.min(average, least);
    }

    /** The tokens that the head of this rank keeps of a sequence. */
    long of(int rank, long length) {
      return length <= average
          ? average
          : Math.clamp(heads * (average - least) - rank * (length - least), 0, length - least)
              + least;
    }

    /** The longest sequence of which so many, one or more, can keep all. */
    long longest(int all) {
      return least + heads * (average - least) / all;
    }
  }

  /**
   * The most at any length up to this one. Between the lengths at which one head more keeps all, a
   * layer holds ever more or ever less, so it holds most at one of those, or at the greatest.
   * Shorter prompts hold less in proportion, if the two sizes shrink alike.
   */
  @Override
  public long together(KvLayout layout, int layer, int length) {
    boolean alike = others.share() == 0 || (tokens.tokens() == 0 && others.tokens() == 0);
    if (figures == null || !alike) {
      return HeadSizes.super.together(layout, layer, length);
    }
    List<Place> places = HeadSizes.ranked(figures, layout, Calibration.Head::far);
    int heads = layout.heads(layer).kvHeads();
    Room room = new Room(places.size(), tokens.most(length), others.most(length));
    long most = 0;
    for (int tokens : each(layout, layer, length, length)) {
      most += Math.min(tokens, length);
    }
    long here = 0;
    for (int all = 1; all <= places.size(); all++) {
      here += places.get(all - 1).layer() == layer ? 1 : 0;
      long longest = Math.min(length, room.longest(all));
      most = Math.max(most, here * longest + (heads - here) * Math.min(longest, room.least));
    }
    // Sizes are rounded, and otherwise those of shorter prompts.
    return Math.min(most + places.size(), (long) heads * length);
  }

  @Override
  public long inAll(KvLayout layout, int length) {
    long heads = HeadSizes.places(layout).size();
    return Math.min(HeadSizes.super.inAll(layout, length), heads * (tokens.most(length) + 1L));
  }
}
