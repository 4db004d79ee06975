package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.Retrieval;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model whose tokens go to disk by its policy's choice, and come back as steps ask for them. */
class RetrievalTest {
  private static final int CONTEXT = 512;
  private static final int STEP = 64;

  /** All but the last tokens go to disk, and all come back. */
  private record Everything(int last) implements KvPolicy, Retrieval {
    private static final int UNIT = 10;

    @Override
    public String name() {
      return "everything";
    }

    @Override
    public Optional<Retrieval> retrieval() {
      return Optional.of(this);
    }

    @Override
    public int fewest() {
      return UNIT;
    }

    @Override
    public int mostUnit() {
      return UNIT;
    }

    @Override
    public void score(CachedHead head, float[] queries, float[] out) {
      assertThat(queries.length % head.keySize()).isZero();
      for (int i = 0; i < out.length; i++) {
        out[i] = i * 7 % 5; // in any order
      }
    }

    @Override
    public void compress(KvCache cache) {
      for (int l = 0; l < cache.layout().layers().size(); l++) {
        for (int h = 0; h < cache.layout().heads(l).kvHeads(); h++) {
          CachedHead head = cache.head(l, h);
          int units = Math.max(0, head.count() - last) / UNIT;
          int[][] places = new int[units][];
          Arrays.setAll(places, u -> IntStream.range(u * UNIT, u * UNIT + UNIT).toArray());
          if (units > 0) {
            head.spill(places, Integer.MAX_VALUE);
          }
        }
      }
    }
  }

  @TempDir Path folder;
  private ModelFile file;

  @BeforeEach
  void open() {
    file = ModelFile.open(TinyModel.dense(folder, Formats.F32));
  }

  @AfterEach
  void close() {
    file.close();
  }

  private static Plan plan(KvPolicy policy) {
    return new Plan(
        "tiny",
        1L << 30,
        CONTEXT,
        1,
        Plan.Cache.of(KvFormat.of(Formats.F32, Formats.F32)).withPolicy(policy),
        STEP,
        1,
        Plan.Weights.RESIDENT,
        List.of(),
        List.of(),
        new Plan.Prediction(0, 0, 0, 0, 0));
  }

  private Engine engine(KvPolicy policy, Budget budget) {
    Engine.Options options = Engine.Options.usual().withSpill(folder);
    return Engine.open(file, null, plan(policy), new Host(budget), options);
  }

  private float[][] logits(KvPolicy policy, int[] tokens, int from) {
    Budget budget = Budget.of("1GiB");
    float[][] logits = new float[tokens.length - from][];
    try (Engine engine = engine(policy, budget)) {
      engine.logits(
          tokens,
          from,
          (position, row) -> logits[position - from] = row.toArray(ValueLayout.JAVA_FLOAT));
    }
    assertThat(budget.used()).isZero();
    return logits;
  }

  /** Sums in another order: all else is the same. */
  @Test
  void whatComesBackIsAttendedToAsIfItHadNeverLeft() {
    int[] tokens = new Random(1).ints(400, 0, TinyModel.VOCABULARY).toArray();
    float[][] expected = logits(KvPolicy.FULL, tokens, 300);
    float[][] actual = logits(new Everything(5), tokens, 300);
    for (int i = 0; i < expected.length; i++) {
      for (int token = 0; token < expected[i].length; token++) {
        assertThat(actual[i][token]).isCloseTo(expected[i][token], within(1e-3f));
      }
    }
  }

  private static Request request(int tokens) {
    return Request.of(new Random(2).ints(tokens, 0, TinyModel.VOCABULARY).toArray())
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(40)
        .withIgnoreEnd(true);
  }

  private int[] answer(KvPolicy policy, int prompt) {
    Budget budget = Budget.of("1GiB");
    try (Engine engine = engine(policy, budget);
        Session session = engine.session();
        Answer answer = session.start(request(prompt))) {
      answer.text();
      assertThat(budget.account("kv").peak())
          .isPositive()
          .isLessThanOrEqualTo(engine.kvLayout().bytes(CONTEXT, STEP));
      return answer.tokens();
    } finally {
      assertThat(budget.used()).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "sentencekv(96)",
        "icecache(96)",
        "score=streaming(4) budget=uniform(96) action=similar(16) when=block(64)",
        "score=window(32) budget=uniform(96) action=sentences(3) when=block(64)"
      })
  void answersWithinItsBytesAndAlikeEachTime(String recipe) {
    int[] tokens = answer(Recipe.of(recipe), 400);
    assertThat(tokens).hasSize(40);
    assertThat(answer(Recipe.of(recipe), 400)).containsExactly(tokens);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sentencekv(512)", "icecache(512)", "icecache(100%)"})
  void withRoomForAllItIsTheFullCache(String recipe) {
    assertThat(answer(Recipe.of(recipe), 300)).containsExactly(answer(KvPolicy.FULL, 300));
  }

  private static Request ten(int[] prompt) {
    return Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(10).withIgnoreEnd(true);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sentencekv(96)", "icecache(96)"})
  void aSessionGoesOnAfterItsAnswer(String recipe) {
    Budget budget = Budget.of("1GiB");
    try (Engine engine = engine(Recipe.of(recipe), budget);
        Session session = engine.session()) {
      int[] prompt = new Random(3).ints(300, 0, TinyModel.VOCABULARY).toArray();
      Request first = ten(prompt);
      int[] said;
      try (Answer answer = session.start(first)) {
        answer.text();
        said = answer.tokens();
      }
      int[] turn = Arrays.copyOf(prompt, prompt.length + said.length);
      System.arraycopy(said, 0, turn, prompt.length, said.length);
      int[] next = Arrays.copyOf(turn, turn.length + 60);
      try (Answer answer = session.start(ten(next))) {
        answer.text();
        assertThat(answer.usage().cachedTokens()).isEqualTo(turn.length - 1);
        assertThat(answer.tokens()).hasSize(10);
      }
      // What it cannot go back to it reads anew.
      try (Answer answer = session.start(first)) {
        answer.text();
        assertThat(answer.tokens()).containsExactly(said);
      }
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void whatLiesInAFileOfItsOwnIsNotSavedWithoutIt() {
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    try (Engine engine = engine(Recipe.of("icecache(96)"), Budget.of("1GiB"));
        Session session = engine.session()) {
      try (Answer answer = session.start(request(300))) {
        answer.text();
      }
      assertThatThrownBy(() -> session.save(store, "kept"))
          .isInstanceOf(CacheNotSavedException.class)
          .hasMessageContaining("similar(16)")
          .hasMessageContaining("reads tokens again from a file of its own");
    }
  }

  @Test
  void marksAtTheEndOfTokensEndSentences() {
    for (String text : List.of(".", "end.", " yes! ", "?\"", ");", "\n", "a\nb", "。", "”. ")) {
      assertThat(SentenceEnds.ends(text)).as(text).isTrue();
    }
    for (String text : List.of("", " ", "a", ",", ".5", "e.g", ")", "'")) {
      assertThat(SentenceEnds.ends(text)).as(text).isFalse();
    }
  }
}
