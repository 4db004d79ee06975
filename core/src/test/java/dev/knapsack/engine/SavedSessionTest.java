package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sessions that go on in another engine, from a store. */
class SavedSessionTest {
  private static final int[] PROMPT = IntStream.range(0, 35).map(i -> i * 37 % 200).toArray();

  @TempDir static Path models;
  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");
  private CacheStore store;

  @BeforeEach
  void open() {
    store = new CacheStore(folder.resolve("saved"), CacheStore.USUAL_BYTES);
  }

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine);
  }

  private void with(Plan plan, Format weights, Use use) {
    try (ModelFile file = ModelFile.open(TinyModel.dense(models, weights));
        Engine engine = Engine.open(file, null, plan, new Host(budget), Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  private void with(Use use) {
    with(TinyModel.plan(1, 16, TinyModel.RESIDENT), Formats.F16, use);
  }

  private static int[] greedy(Session session, int[] prompt) {
    try (Answer answer =
        session.start(Request.of(prompt).withMaxTokens(20).withSampling(Sampling.GREEDY))) {
      answer.text();
      return answer.tokens();
    }
  }

  private static int[] join(int[] a, int[] b) {
    int[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  /** Saves a session that has answered {@link #PROMPT}, under the name {@code a}. */
  private int[] save() {
    int[][] answer = new int[1][];
    with(engine -> {
      try (Session session = engine.session()) {
        answer[0] = greedy(session, PROMPT);
        assertThat(session.save(store, "a", CacheStore.Precision.AS_STORED)).isPositive();
        assertThat(session.cachedTokens()).isEqualTo(PROMPT.length + 19);
      }
    });
    return answer[0];
  }

  private void refused(Problem problem, Plan plan, Format weights, String... words) {
    with(
        plan,
        weights,
        engine -> {
          try (Session session = engine.session()) {
            assertThatThrownBy(() -> session.restore(store, "a"))
                .hasMessageContainingAll(words)
                .asInstanceOf(InstanceOfAssertFactories.type(CacheFileException.class))
                .returns(problem, CacheFileException::problem);
            // What is refused costs reading the prompt, and nothing more.
            assertThat(session.cachedTokens()).isZero();
            assertThat(greedy(session, PROMPT)).isNotEmpty();
          }
        });
  }

  @Test
  void holdsRandomTokensForMeasurements() {
    int[] tokens = IntStream.range(0, 50).map(i -> (i * 31 + 1) % 200).toArray();
    with(engine -> {
      try (Session session = engine.session()) {
        int[] expected = greedy(session, PROMPT);
        session.fill(tokens);
        assertThat(session.cachedTokens()).isEqualTo(50);
        try (Answer answer =
            session.start(Request.of(join(tokens, new int[] {3})).withMaxTokens(4))) {
          answer.text();
          assertThat(answer.usage().cachedTokens()).isEqualTo(50);
        }
        assertThat(greedy(session, PROMPT))
            .as("nothing that was computed is changed")
            .isEqualTo(expected);
        int[] many = new int[engine.plan().context()];
        assertThatThrownBy(() -> session.fill(many)).isInstanceOf(ContextExceededException.class);
      }
    });
  }

  @Test
  void goesOnAsIfItHadNeverEnded() {
    int[] answer = save();
    int[] next = join(join(PROMPT, answer), new int[] {7, 8, 9});
    int[][] expected = new int[1][];
    with(engine -> {
      try (Session session = engine.session()) {
        greedy(session, PROMPT);
        expected[0] = greedy(session, next);
      }
    });
    with(engine -> {
      try (Session session = engine.session()) {
        int restored = session.restore(store, "a");
        assertThat(restored).isEqualTo(PROMPT.length + 19).isEqualTo(session.cachedTokens());
        try (Answer continued =
            session.start(Request.of(next).withMaxTokens(20).withSampling(Sampling.GREEDY))) {
          continued.text();
          assertThat(continued.tokens()).isEqualTo(expected[0]);
          assertThat(continued.usage().cachedTokens()).isEqualTo(restored);
        }
      }
    });
  }

  @Test
  void isRefusedWhereSomethingElseWouldHaveBeenComputed() {
    save();
    Plan plan = TinyModel.plan(1, 16, TinyModel.RESIDENT);
    refused(
        Problem.MODEL,
        plan,
        Formats.Q8_0,
        "a.kv: is a cache of the model tiny (",
        "with that model");
    refused(
        Problem.FORMATS,
        withFormats(plan, "F16"),
        Formats.F16,
        "is of a cache in k=f32,v=f32, not in k=f16,v=f16");
    refused(
        Problem.TOO_LONG,
        withContext(plan, 40),
        Formats.F16,
        "holds 54 tokens, and a sequence may have 39 here; a context of 55 tokens");
    assertThat(store.remove("a")).isTrue();
    refused(Problem.MISSING, plan, Formats.F16, "there is no such saved cache");
  }

  private static Plan withFormats(Plan p, String format) {
    return new Plan(
        p.model(),
        p.budget(),
        p.context(),
        p.sequences(),
        Plan.Cache.of(KvFormat.parse(format)),
        p.prefillChunk(),
        p.workers(),
        p.weights(),
        p.shares(),
        p.choices(),
        p.prediction());
  }

  private static Plan withContext(Plan p, int context) {
    return new Plan(
        p.model(),
        p.budget(),
        context,
        p.sequences(),
        p.cache(),
        p.prefillChunk(),
        p.workers(),
        p.weights(),
        p.shares(),
        p.choices(),
        p.prediction());
  }

  @Test
  void aModelIsKnownByItsWeights() throws Exception {
    save();
    Path original = TinyModel.dense(models, Formats.F16);
    byte[] other = Files.readAllBytes(original);
    // In the middle of the file lie the middle tensors; each of their middles is looked at.
    for (int i = other.length / 4; i < other.length / 2; i++) {
      other[i] ^= 1;
    }
    Path changed = Files.write(folder.resolve("changed.gguf"), other);
    try (ModelFile file = ModelFile.open(changed);
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(1, 16, TinyModel.RESIDENT),
                new Host(budget),
                Engine.Options.usual());
        Session session = engine.session()) {
      assertThatThrownBy(() -> session.restore(store, "a"))
          .asInstanceOf(InstanceOfAssertFactories.type(CacheFileException.class))
          .returns(Problem.MODEL, CacheFileException::problem);
    }
  }

  @Test
  void takesItsMemoryLikeAnyOther() {
    save();
    with(engine -> {
      Session session = engine.session();
      try (Session idle = engine.session()) {
        greedy(idle, PROMPT);
        session.restore(store, "a");
        assertThat(idle.cachedTokens()).as("the only sequence is the other's now").isZero();
        Answer busy = session.start(Request.of(PROMPT));
        assertThatThrownBy(() -> session.save(store, "a"))
            .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> idle.restore(store, "a")).isInstanceOf(QueueFullException.class);
        busy.close();
        session.close();
        try (Lease _ = budget.account("other").reserve(budget.free())) {
          assertThatThrownBy(() -> idle.restore(store, "a"))
              .isInstanceOf(BudgetExceededException.class);
        }
        assertThat(idle.cachedTokens()).isZero();
        assertThat(idle.restore(store, "a")).isEqualTo(PROMPT.length + 19);
      }
    });
  }

  @Test
  void nothingIsSavedOfAnEmptySession() {
    with(engine -> {
      try (Session session = engine.session()) {
        assertThat(session.save(store, "empty")).isZero();
        assertThat(store.list()).isEmpty();
      }
    });
  }
}
