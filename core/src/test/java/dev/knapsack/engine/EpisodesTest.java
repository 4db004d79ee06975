package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A text is read for each of its topics, and questions meet the cache of theirs. */
class EpisodesTest {
  private static final int TOPICS = 3;
  private static final int CHUNK = 32;
  private static final KvPolicy POLICY =
      Recipe.of("score=patch(8) budget=uniform(40) action=evict when=prompt(16)");

  @TempDir static Path models;
  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private void with(Consumer<Engine> use) {
    try (ModelFile file = ModelFile.open(TinyModel.dense(models, Formats.F32));
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(1, CHUNK, TinyModel.RESIDENT, POLICY),
                new Host(budget),
                Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  /** Of six tokens, five of which are of a topic; the sixth is everywhere. */
  private static int[] segment(int topic, int i) {
    int[] segment = new int[6];
    for (int t = 0; t < 5; t++) {
      segment[t] = 10 + 50 * topic + (i * 3 + t) % 8;
    }
    segment[5] = 9;
    return segment;
  }

  /** Topics by turns: 108 tokens. */
  private static List<int[]> text() {
    List<int[]> segments = new ArrayList<>();
    for (int i = 0; i < 18; i++) {
      segments.add(segment(i % TOPICS, i));
    }
    return segments;
  }

  private CacheStore store() {
    return new CacheStore(folder.resolve("episodes"), Long.MAX_VALUE);
  }

  private static float[] answer(Reading reading, int... question) {
    List<float[]> logits = new ArrayList<>();
    try (Reading fork = reading.fork()) {
      fork.read(question, (_, row) -> logits.add(row.toArray(ValueLayout.JAVA_FLOAT)));
    }
    return logits.getFirst();
  }

  @Test
  void alikeSegmentsAreTogetherAndAQuestionFindsThem() {
    with(engine -> {
      try (Episodes episodes = Episodes.read(engine, text(), TOPICS, store(), "text", 1)) {
        assertThat(episodes.count()).isEqualTo(TOPICS);
        for (int i = 0; i < 18; i++) {
          assertThat(episodes.of(i)).isEqualTo(episodes.of(i % TOPICS));
        }
        for (int topic = 0; topic < TOPICS; topic++) {
          int[] question = {200, 10 + 50 * topic + 4, 9, 10 + 50 * topic + 1, 201};
          assertThat(episodes.about(question)).isEqualTo(episodes.of(topic));
        }
      }
    });
  }

  @Test
  void oneEpisodeIsInMemoryAndComesBackAsItWas() {
    with(engine -> {
      CacheStore store = store();
      long most = engine.kvLayout().bytes(18 * 6, CHUNK);
      try (Episodes episodes = Episodes.read(engine, text(), TOPICS, store, "text", 1)) {
        assertThat(store.list()).hasSize(TOPICS);
        assertThat(budget.account("kv/readings").peak()).isLessThanOrEqualTo(most);
        assertThat(episodes.peakBytes()).isPositive().isLessThanOrEqualTo(most);
        long one = episodes.reading(0).bytes();
        List<float[]> answers = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
          for (int e = 0; e < TOPICS; e++) {
            Reading reading = episodes.reading(e);
            assertThat(episodes.reading(e)).as("stays").isSameAs(reading);
            assertThat(reading.tokens()).isEqualTo(18 * 6);
            // What the policy remembered of tokens while it read them does not come back.
            assertThat(budget.account("kv/readings").used()).isPositive().isLessThanOrEqualTo(one);
            answers.add(answer(reading, 30, 31, 32));
          }
        }
        assertThat(answers.get(0)).isNotEqualTo(answers.get(1)).isNotEqualTo(answers.get(2));
        for (int e = 0; e < TOPICS; e++) {
          assertThat(answers.get(TOPICS + e)).isEqualTo(answers.get(e));
        }
        store.remove("text-0");
        assertThatThrownBy(() -> episodes.reading(0)).isInstanceOf(CacheFileException.class);
        assertThat(answer(episodes.reading(1), 30, 31, 32)).isEqualTo(answers.get(1));
      }
      assertThat(store.list()).isEmpty();
    });
  }

  @Test
  void anEpisodeIsTheTextReadWithItsSegmentAsPatch() {
    with(engine -> {
      List<int[]> alike = new ArrayList<>();
      for (int i = 0; i < 18; i++) {
        alike.add(segment(1, 0));
      }
      int[] text = alike.stream().flatMapToInt(Arrays::stream).toArray();
      try (Episodes episodes = Episodes.read(engine, alike, 4, store(), "text", 1);
          Reading patched = engine.read(text, segment(1, 0), (_, _) -> {});
          Reading other = engine.read(text, new int[] {200, 201, 202}, (_, _) -> {})) {
        assertThat(episodes.count()).as("all segments are one topic").isOne();
        float[] expected = answer(patched, 30, 31);
        assertThat(answer(episodes.reading(0), 30, 31)).isEqualTo(expected);
        assertThat(answer(other, 30, 31)).isNotEqualTo(expected);
      }
      assertThatThrownBy(() -> Episodes.read(engine, List.of(), 4, store(), "none", 1))
          .isInstanceOf(IllegalArgumentException.class);
    });
  }

  @Test
  void segmentsAreSentencesAndAllOfTheText() {
    try (ModelFile file = ModelFile.open(TestData.path("notes/notes-2.6m-q8_0.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      String text =
          "<|bos|><|user|> Gus likes figs. Ana is a baker. It was cold.<|end|> Dan lives in Varna."
              + " We";
      int[] tokens = tokenizer.encode(text, true, true);
      List<int[]> segments = Episodes.segments(tokenizer, tokens, 2);
      assertThat(segments).hasSize(3);
      assertThat(segments.stream().flatMapToInt(Arrays::stream).toArray()).isEqualTo(tokens);
      assertThat(tokenizer.decode(segments.get(0), false))
          .isEqualTo(" Gus likes figs. Ana is a baker.");
      assertThat(tokenizer.decode(segments.get(1), false))
          .isEqualTo(" It was cold. Dan lives in Varna.");
    }
  }
}
