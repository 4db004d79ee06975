package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PairMergingTest {
  /** Symbols are numbers; the sum of two below a limit is their merger, the smaller the sooner. */
  private static final class Sums implements PairMerging.Symbols {
    private final int[] values;
    private long asked;

    Sums(int[] values) {
      this.values = values.clone();
    }

    @Override
    public int priority(int left, int right) {
      asked++;
      int sum = values[left] + values[right];
      return sum % 7 == 0 || sum > 200 ? PairMerging.NEVER : sum % 5;
    }

    @Override
    public void merge(int left, int right) {
      values[left] += values[right];
    }
  }

  private static List<Integer> merged(int[] values) {
    Sums sums = new Sums(values);
    PairMerging merging = new PairMerging();
    merging.run(values.length, sums);
    List<Integer> left = new ArrayList<>();
    for (int i = 0; i >= 0; i = merging.after(i)) {
      left.add(sums.values[i]);
    }
    assertThat(sums.asked).isLessThanOrEqualTo(3L * values.length);
    return left;
  }

  /** The definition: again and again, the leftmost of the best pairs. */
  private static List<Integer> bySearch(int[] values) {
    List<Integer> list = new ArrayList<>();
    for (int value : values) {
      list.add(value);
    }
    while (true) {
      int best = -1;
      int bestPriority = PairMerging.NEVER;
      for (int i = 0; i + 1 < list.size(); i++) {
        int sum = list.get(i) + list.get(i + 1);
        int priority = sum % 7 == 0 || sum > 200 ? PairMerging.NEVER : sum % 5;
        if (priority < bestPriority) {
          best = i;
          bestPriority = priority;
        }
      }
      if (best < 0) {
        return list;
      }
      list.set(best, list.get(best) + list.remove(best + 1));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void mergesInTheOrderOfTheDefinition(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 50; round++) {
      int[] values = random.ints(random.nextInt(1, 120), 1, 30).toArray();
      assertThat(merged(values)).isEqualTo(bySearch(values));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 1 << 18})
  void asksForNoMoreThanThreePairsASymbol(int count) {
    int[] values = new SplittableRandom(count).ints(count, 1, 30).toArray();
    assertThat(merged(values)).hasSizeLessThanOrEqualTo(count);
  }
}
