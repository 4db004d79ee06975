package dev.knapsack.serve.batch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BatchPromptTest {
  private static final int PAGE = 2;

  private static BatchPrompt prompt(int line, long heavy, int... tokens) {
    return new BatchPrompt(line, BatchPrompt.blocks(tokens, PAGE), heavy);
  }

  private static List<Integer> order(BatchPrompt... prompts) {
    return BatchPrompt.ordered(List.of(prompts)).stream().map(BatchPrompt::line).toList();
  }

  @Test
  void countsWholePagesThatAreTheSameFromTheBeginning() {
    BatchPrompt a = prompt(0, 1, 1, 2, 3, 4, 5);
    assertThat(a.blocks()).hasSize(2);
    assertThat(a.shared(prompt(1, 1, 1, 2, 3, 4, 6))).isEqualTo(2);
    assertThat(a.shared(prompt(1, 1, 1, 2, 3, 5))).isEqualTo(1);
    assertThat(a.shared(prompt(1, 1, 9, 2, 3, 4))).isZero();
    assertThat(a.shared(prompt(1, 1, 1, 2))).isEqualTo(1);
  }

  @Test
  void putsTogetherWhatBeginsAlikeAndTheLongestAnswersFirst() {
    assertThat(
            order(
                prompt(0, 5, 1, 1, 2, 2),
                prompt(1, 50, 7, 7),
                prompt(2, 9, 1, 1, 3, 3, 8, 8),
                prompt(3, 1, 1, 1, 3, 3, 9, 9),
                prompt(4, 60, 1, 1, 2, 2)))
        .containsExactly(4, 0, 2, 3, 1);
  }

  @Test
  void keepsEveryPromptOnceAndEveryGroupInOnePiece() {
    Random random = new Random(7);
    for (int round = 0; round < 200; round++) {
      List<BatchPrompt> prompts = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        int[] tokens = random.ints(random.nextInt(9), 0, 2).toArray();
        prompts.add(prompt(i, random.nextInt(5), tokens));
      }
      List<BatchPrompt> order = BatchPrompt.ordered(prompts);
      assertThat(order).containsExactlyInAnyOrderElementsOf(prompts);
      // Once a beginning is left, nothing that has it comes again.
      for (int i = 0; i < order.size(); i++) {
        int least = Integer.MAX_VALUE;
        for (int j = i + 1; j < order.size(); j++) {
          int shared = order.get(i).shared(order.get(j));
          assertThat(shared).isLessThanOrEqualTo(least);
          least = Math.min(least, shared);
        }
      }
    }
  }
}
