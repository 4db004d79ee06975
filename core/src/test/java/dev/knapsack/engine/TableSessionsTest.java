package dev.knapsack.engine;

import static dev.knapsack.engine.GoldenSessions.join;
import static dev.knapsack.engine.GoldenSessions.request;
import static dev.knapsack.engine.GoldenSessions.say;
import static dev.knapsack.engine.GoldenSessions.tokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Progress;
import dev.knapsack.model.PublishedShape;
import dev.knapsack.model.SyntheticModel;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Made-up models whose layers read rows of tables, by the doors that all models have. */
class TableSessionsTest {
  private static final Map<String, Map<String, Object>> KEYS =
      Map.of(
          "move",
          Map.of("value_embedding.slots", 3),
          "engram",
          Map.of(
              "ngram.layers",
              List.of(0, 2),
              "ngram.order",
              3,
              "ngram.head_count",
              2,
              "ngram.embedding_length",
              32,
              "ngram.conv_kernel",
              4,
              "ngram.multipliers",
              List.of(1_000_000_007, 998_244_353, 77_777_777, 19, 5, 1_234_567),
              "ngram.rows",
              List.of(211, 223, 227, 229, 233, 239, 241, 251),
              "ngram.tokens",
              IntStream.range(0, 512).map(t -> t / 3).boxed().toList()),
          "memoryformer",
          Map.of("hash.bits", 4));

  @TempDir static Path folder;

  private static Path model(String architecture) {
    Path path = folder.resolve(architecture + ".gguf");
    if (!Files.exists(path)) {
      PublishedShape shape =
          new PublishedShape(
              "made-up",
              architecture,
              512,
              64,
              3,
              4,
              2,
              16,
              96,
              0,
              0,
              0,
              1024,
              1e4,
              1e-5,
              false,
              KEYS.get(architecture));
      Budget budget = Budget.of("256MiB");
      new SyntheticModel(shape, Formats.Q8_0)
          .write(path, 7, budget.account("synth"), Progress.NONE);
    }
    return path;
  }

  @ParameterizedTest
  @ValueSource(strings = {"move", "engram", "memoryformer"})
  void answer(String architecture) {
    try (Knapsack knapsack = Knapsack.open(model(architecture), Budget.of("256MiB"));
        Generation generation =
            knapsack.generate(
                GenerationRequest.ofText("The world is")
                    .withSampling(Sampling.GREEDY)
                    .withMaxTokens(12))) {
      assertThat(knapsack.spec().family()).isEqualTo(architecture);
      assertThat(generation.text()).isNotBlank();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"move", "engram", "memoryformer"})
  void turnsGoOnAreEditedSavedAndRestored(String architecture) {
    GoldenSessions.with(
        model(architecture),
        true,
        engine -> {
          try (Session session = engine.session();
              Session other = engine.session()) {
            int[] first = tokens(100, 1);
            int[] turn = join(first, say(engine, session, first, 0));
            int end = turn.length - 1; // the last token has been chosen and not read
            say(engine, session, join(turn, tokens(20, 2)), end);
            int[] edited = join(turn, tokens(15, 3));
            // A state has a checkpoint at a turn's end; pages that are shared go whole.
            int back = architecture.equals("engram") ? end : 64;
            int[] longer = join(edited, say(engine, session, edited, back));
            CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
            session.save(store, architecture, CacheStore.Precision.AS_STORED);
            int kept = other.restore(store, architecture);
            assertThat(kept).isEqualTo(session.cachedTokens());
            say(engine, other, join(longer, tokens(9, 6)), kept);
            for (Answer sample : engine.start(request(first), 3)) {
              assertThat(join(first, tokens(sample))).isEqualTo(turn);
            }
          }
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"move", "engram", "memoryformer"})
  void noBitDependsOnWhereTablesAre(String architecture) {
    try (ModelFile file = ModelFile.open(model(architecture))) {
      ModelSpec spec = Families.spec(file);
      GatherTest.Computed whole = GatherTest.compute(file, spec, Plan.Weights.RESIDENT);
      GatherTest.Computed gathered =
          GatherTest.compute(file, spec, Plan.Weights.RESIDENT.withGathered(true));
      assertThat(gathered.logits()).isEqualTo(whole.logits());
      assertThat(gathered.leased()).isLessThan(whole.leased());
      assertThat(whole.reads()).isEqualTo(TableReads.NONE);
      // Of each table as many rows as a token reads, each in one sector or two.
      WeightLayout layout = WeightLayout.of(file, spec);
      long least = 0;
      for (var table : layout.tables()) {
        least += layout.reads(table) * table.format().bytes(table.shape().getFirst());
      }
      assertThat(gathered.reads().predicted()).isGreaterThan(least);
      assertThat(gathered.reads().measured())
          .isPositive()
          .isLessThanOrEqualTo(gathered.reads().predicted());
      Plan.Weights streamed = TinyModel.streaming(true, 1 << 20, 1, 2).withGathered(true);
      assertThat(GatherTest.compute(file, spec, streamed).logits()).isEqualTo(whole.logits());
    }
  }
}
