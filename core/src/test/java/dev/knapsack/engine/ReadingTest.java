package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Prompts that are read once and gone on from often. */
class ReadingTest {
  private static final int CHUNK = 32;
  private static final int[] TEXT =
      IntStream.range(0, TinyModel.CONTEXT).map(i -> i * 37 % 200).toArray();

  /** Half of the prompt, once it has been read. */
  private static final KvPolicy HALF =
      Recipe.of("score=knorm budget=uniform(32) action=evict when=prompt");

  @TempDir static Path models;
  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine);
  }

  private void with(KvPolicy policy, Use use) {
    try (ModelFile file = ModelFile.open(TinyModel.dense(models, Formats.F32));
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(1, CHUNK, TinyModel.RESIDENT, policy),
                new Host(budget),
                Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  private static int[] text(int from, int to) {
    return Arrays.copyOfRange(TEXT, from, to);
  }

  private static float[] floats(MemorySegment logits) {
    return logits.toArray(ValueLayout.JAVA_FLOAT);
  }

  private static Engine.LogitsUse into(List<float[]> rows) {
    return (_, logits) -> rows.add(floats(logits));
  }

  @Test
  void whatIsReadInPartsIsReadAsAWhole() {
    with(
        KvPolicy.FULL,
        engine -> {
          List<float[]> whole = new ArrayList<>();
          engine.logits(text(0, 98), into(whole));
          List<float[]> rows = new ArrayList<>();
          List<Integer> positions = new ArrayList<>();
          try (Reading reading =
              engine.read(
                  text(0, 64),
                  (position, logits) -> {
                    positions.add(position);
                    rows.add(floats(logits));
                  })) {
            try (Reading fork = reading.fork()) {
              fork.read(new int[] {7, 8, 9}, (position, _) -> positions.add(position));
              assertThat(fork.tokens()).isEqualTo(67);
            }
            reading.read(text(64, 96), into(rows));
            reading.read(text(96, 97), into(rows));
            reading.read(text(97, 98), into(rows));
            assertThat(reading.tokens()).isEqualTo(98);
          }
          assertThat(positions).containsExactly(63, 66);
          assertThat(rows.get(0)).isEqualTo(whole.get(63));
          assertThat(rows.get(1)).isEqualTo(whole.get(95));
          // One row takes other sums than many.
          for (int i = 0; i < 2; i++) {
            for (int v = 0; v < TinyModel.VOCABULARY; v++) {
              assertThat(rows.get(2 + i)[v]).isCloseTo(whole.get(96 + i)[v], within(1e-3f));
            }
          }
        });
  }

  @Test
  void aPromptIsCompressedOnceAndItsPagesAreShared() {
    with(
        HALF,
        engine -> {
          long page = engine.kvLayout().bytes(64);
          try (Reading reading = engine.read(text(0, 96), (_, _) -> {})) {
            assertThat(reading.peakBytes()).isEqualTo(engine.kvLayout().bytes(96, 96));
            assertThat(reading.bytes()).isEqualTo(page);
            assertThat(budget.account("kv/readings").used()).isEqualTo(page);
            List<float[]> answers = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
              try (Reading fork = reading.fork()) {
                assertThat(reading.bytes()).as("shared").isEqualTo(page);
                fork.read(text(96, 100), into(answers));
                assertThat(reading.bytes()).as("both").isEqualTo(2 * page);
              }
              assertThat(reading.bytes()).isEqualTo(page);
            }
            assertThat(answers.get(0)).isEqualTo(answers.get(1));
            // What comes after the prompt is kept, whatever the policy would keep of a prompt.
            reading.read(text(100, 128), (_, _) -> {});
            assertThat(reading.bytes()).isEqualTo(page);
          }
          Reading closed = engine.read(text(0, 9), (_, _) -> {});
          closed.close();
          closed.close();
          assertThatThrownBy(() -> closed.read(text(0, 1), (_, _) -> {}))
              .isInstanceOf(IllegalStateException.class);
        });
  }

  @Test
  void aForkMayOutliveWhatItIsOf() {
    with(
        KvPolicy.FULL,
        engine -> {
          List<float[]> rows = new ArrayList<>();
          Reading first = engine.read(text(0, 20), (_, _) -> {});
          Reading second = first.fork();
          first.read(text(20, 21), into(rows));
          first.close();
          second.read(text(20, 21), into(rows));
          second.close();
          assertThat(rows.get(0)).isEqualTo(rows.get(1));
          assertThat(budget.account("kv/readings").used()).isZero();
        });
  }

  @Test
  void goesOnInAnotherEngine() {
    CacheStore store = new CacheStore(folder.resolve("saved"), CacheStore.USUAL_BYTES);
    List<float[]> rows = new ArrayList<>();
    with(
        HALF,
        engine -> {
          try (Reading reading = engine.read(text(0, 96), (_, _) -> {})) {
            assertThat(reading.save(store, "a", CacheStore.Precision.AS_STORED)).isPositive();
            reading.read(text(96, 100), into(rows));
          }
        });
    with(
        HALF,
        engine -> {
          try (Reading reading = engine.restore(store, "a")) {
            assertThat(reading.tokens()).isEqualTo(96);
            reading.read(text(96, 100), into(rows));
          }
          assertThatThrownBy(() -> engine.restore(store, "b"))
              .isInstanceOf(CacheFileException.class);
        });
    assertThat(rows.get(0)).isEqualTo(rows.get(1));
  }

  @Test
  void whatCannotBeRead() {
    with(
        KvPolicy.FULL,
        engine -> {
          assertThatThrownBy(() -> engine.read(new int[TinyModel.CONTEXT + 1], (_, _) -> {}))
              .isInstanceOf(ContextExceededException.class);
          assertThatThrownBy(() -> engine.read(new int[0], (_, _) -> {}))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("at least one token");
          assertThatThrownBy(() -> engine.read(new int[] {TinyModel.VOCABULARY}, (_, _) -> {}))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("none of the vocabulary's 211");
          try (var _ = budget.account("other").reserve(budget.free() - 4096)) {
            assertThatThrownBy(() -> engine.read(text(0, 9), (_, _) -> {}))
                .isInstanceOf(BudgetExceededException.class);
          }
          assertThat(budget.account("kv/readings").used()).isZero();
        });
  }
}
