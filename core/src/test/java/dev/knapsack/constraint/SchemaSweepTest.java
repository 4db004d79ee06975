package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.knapsack.TestData;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SchemaSweepTest {
  @Test
  void whatEndsByItselfIsValid(@TempDir Path folder) throws IOException {
    Path stories = TestData.path("models/stories260K.gguf");
    for (Path model : List.of(SchemaSweep.randomModel(folder), stories)) {
      Host host = new Host(Budget.of("64MiB"), Host.Options.usual().withCache(TestData.cache()));
      try (Knapsack knapsack = Knapsack.open(model, host, SchemaSweep.options())) {
        SchemaSweep sweep = new SchemaSweep();
        sweep.run(knapsack, 0, 24);
        assertThat(sweep.wrong).isEmpty();
        assertThat(sweep.ended).isGreaterThan(12);
      }
    }
  }
}
