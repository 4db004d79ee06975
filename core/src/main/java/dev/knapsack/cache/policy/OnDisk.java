package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.Retrieval;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Tokens go to disk in units, and come back for the steps that ask for them.
 *
 * <p>The first {@value #FIRST} tokens and the last {@value #LAST} never leave memory. What a head
 * may have in memory counts them too: the rest of it is the room for units. Where it may have fewer
 * than twice as many, an eighth of it is first and a half of it last tokens.
 */
sealed interface OnDisk extends Action, Retrieval permits Sentences, SimilarKeys {
  int FIRST = 4;
  int LAST = 32;

  // What is remembered of a head: how many tokens it may have in memory, then what a unit says.
  int TOKENS = 0;
  int NEXT = 1;

  /**
   * Of the tokens that may go to disk, those that do; the others are forgotten.
   *
   * @param places of tokens, ascending
   * @param scores of all tokens of the head that are not in coarser formats
   * @param tokens that the head may have in memory
   */
  int[] candidates(CachedHead head, int[] places, float[] scores, int tokens);

  /**
   * Divides tokens among units.
   *
   * @param places of all of them, ascending
   * @param most tokens of a unit, if that can be
   */
  int[][] units(CachedHead head, int[] places, int most);

  @Override
  default Optional<Retrieval> retrieval() {
    return Optional.of(this);
  }

  @Override
  default void apply(CachedHead head, int tokens, float[] scores) {
    if (head.room() == 0 && tokens >= scores.length) {
      return; // all fit
    }
    int budget = head.room() > 0 ? Math.round(head.numbers(NEXT)[TOKENS]) : tokens;
    int first = Math.min(FIRST, budget / 8);
    int last = Math.min(LAST, budget / 2);
    int room = budget - first - last;
    int end = head.cache().length() - last;
    int[] places = new int[head.spillable() - head.coarse()];
    int n = 0;
    for (int i = head.coarse(); i < head.spillable(); i++) {
      if (head.position(i) >= first && head.position(i) < end) {
        places[n++] = i;
      }
    }
    if (n < fewest()) {
      return;
    }
    places = Arrays.copyOf(places, n);
    int[] chosen = candidates(head, places, scores, budget);
    if (chosen.length < n) {
      head.keep(without(head.count(), places, chosen));
      // What has been forgotten lay between the first and the last that are left.
      int from = places[0];
      chosen = IntStream.range(from, from + chosen.length).toArray();
    }
    head.spill(units(head, chosen, Math.clamp(room, 2 * fewest(), KvLayout.PAGE_TOKENS)), room);
    head.numbers(NEXT)[TOKENS] = budget;
  }

  @Override
  default void apply(CachedHead head, int[] kept) {
    float[] scores = new float[head.count() - head.coarse()];
    for (int place : kept) {
      scores[place - head.coarse()] = 1;
    }
    apply(head, kept.length, scores);
  }

  /** All places but those that are in {@code all} and not in {@code chosen}. */
  private static int[] without(int count, int[] all, int[] chosen) {
    boolean[] gone = new boolean[count];
    for (int place : all) {
      gone[place] = true;
    }
    for (int place : chosen) {
      gone[place] = false;
    }
    int[] kept = new int[count - all.length + chosen.length];
    int n = 0;
    for (int i = 0; i < count; i++) {
      if (!gone[i]) {
        kept[n++] = i;
      }
    }
    return kept;
  }
}
