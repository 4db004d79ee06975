package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Questions are asked of the episode that they are about. */
class KvEpisodesTest {
  @TempDir Path folder;

  @Test
  void promptsAreReadOnceForEachEpisode() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    Budget budget = Budget.of("96MiB");
    KvRecipes work = KvRecipes.of(model, Questions.ofNotes(2), Optional.empty(), 64);
    List<KvTrial> trials =
        work.trials(List.of("dapq@3", "dapq", "snapkv(4096)@2", "streaming(4,60)"), List.of(50));
    assertThat(trials).extracting(KvTrial::episodes).containsExactly(3, 0, 2, 0);
    assertThat(trials).extracting(KvTrial::name).startsWith("dapq@3 at 50 %", "dapq at 50 %");
    List<KvRecipeResult> results =
        work.measure(
            trials.subList(0, 3),
            false,
            (trial, context) ->
                Knapsack.open(
                    model,
                    Data.host(budget),
                    trial.apply(
                        Options.usual()
                            .withContext(context)
                            .withPrecision(Compute.Precision.FLOAT))),
            folder,
            Perplexity.Progress.NONE);
    assertThat(budget.used()).isZero();
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
    KvRecipeResult full = results.get(0);
    // Only one of the episodes is in memory.
    assertThat(results.get(1).bytes()).isEqualTo(full.bytes() * 33 / 32 / 2);
    assertThat(results.get(1).bytes()).isEqualTo(results.get(2).bytes());
    assertThat(results.get(1).peakBytes()).isLessThanOrEqualTo(results.get(2).peakBytes());
    assertThat(results.get(1).answers().divergence())
        .isPositive()
        .isNotEqualTo(results.get(2).answers().divergence());
    assertThat(results.get(1).readSeconds()).isGreaterThan(results.get(2).readSeconds());
    // What forgets nothing comes back from its file as it was.
    assertThat(results.get(3).answers()).isEqualTo(full.answers());
    assertThat(results.get(3).right()).isEqualTo(full.right());
    assertThat(results.get(3).bytes()).isEqualTo(full.bytes() * 33 / 32);
  }
}
