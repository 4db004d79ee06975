package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;

/** What writing a token leaves to the garbage collector, once the code is compiled. */
@Isolated // counts what all threads allocate
class AllocationTest {
  private static final int TOKENS = 100;

  /** A few dozen small objects a layer: views of matrices and pages, and tasks for the workers. */
  private static final long BYTES_PER_LAYER = 8 << 10;

  @TempDir Path folder;

  @Test
  void aTokenAllocatesLittleAndNothingThatGrowsWithTheModel() {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.Q8_0));
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(1, 16, TinyModel.RESIDENT),
                new Host(Budget.of("64MiB")),
                Engine.Options.usual())) {
      long least = Long.MAX_VALUE;
      long bound = TinyModel.LAYERS * BYTES_PER_LAYER;
      for (int round = 0; round < 100 && least > bound; round++) {
        Request request =
            Request.of(1, 2, 3)
                .withMaxTokens(TOKENS)
                .withIgnoreEnd(true)
                .withSampling(Sampling.GREEDY);
        long before = allocated();
        try (Answer answer = engine.start(request)) {
          answer.text();
          assertThat(answer.tokens()).hasSize(TOKENS);
        }
        least = Math.min(least, (allocated() - before) / TOKENS);
      }
      assertThat(least).isPositive().isLessThanOrEqualTo(bound);
    }
  }

  /** By all threads. */
  private static long allocated() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long sum = 0;
    for (long bytes : threads.getThreadAllocatedBytes(threads.getAllThreadIds())) {
      sum += Math.max(0, bytes);
    }
    return sum;
  }
}
