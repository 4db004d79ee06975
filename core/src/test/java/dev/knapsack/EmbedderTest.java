package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute.Precision;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Encoding.Pooling;
import dev.knapsack.plan.Plan;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Texts to vectors and scores, by a real model and by small ones. */
class EmbedderTest {
  private static final Path MINILM = TestData.path("models/minilm");
  private static final Path MODEL = MINILM.resolve("all-MiniLM-L6-v2-q8_0.gguf");

  private record Row(String name, int max, String text, int[] ids) {}

  private static Embedder open(Budget budget, Options options) {
    return open(MODEL, budget, options);
  }

  private static Host host(Budget budget) {
    return new Host(budget, Host.Options.usual().withCache(TestData.cache()));
  }

  private static Embedder open(Path model, Budget budget, Options options) {
    return Embedder.open(model, host(budget), options.withWorkers(2));
  }

  private static List<Row> rows() throws IOException {
    List<Row> rows = new ArrayList<>();
    for (String line : Files.readAllLines(MINILM.resolve("sentences.jsonl"))) {
      JsonObject row = JsonParser.parseString(line).getAsJsonObject();
      rows.add(
          new Row(
              row.get("name").getAsString(),
              row.get("max").getAsInt(),
              row.get("text").getAsString(),
              ids(row)));
    }
    return rows;
  }

  private static int[] ids(JsonObject row) {
    return row.getAsJsonArray("ids").asList().stream().mapToInt(id -> id.getAsInt()).toArray();
  }

  private static float[][] vectors(String name, int count) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(MINILM.resolve(name))).order(ByteOrder.LITTLE_ENDIAN);
    float[][] vectors = new float[count][bytes.remaining() / 4 / count];
    for (float[] vector : vectors) {
      for (int i = 0; i < vector.length; i++) {
        vector[i] = bytes.getFloat();
      }
    }
    return vectors;
  }

  /** The largest distance of a direction from the one expected, 1 − cosine. */
  private static double worst(List<Embedding> actual, float[][] expected) {
    double worst = 0;
    for (int i = 0; i < expected.length; i++) {
      Embedding right = new Embedding(expected[i], 0, false);
      worst = Math.max(worst, 1 - actual.get(i).cosine(right));
    }
    return worst;
  }

  private static List<Embedding> embed(Embedder embedder, List<Row> rows) {
    List<Embedding> all = new ArrayList<>();
    for (Row row : rows) {
      EmbeddingRequest request = EmbeddingRequest.of(row.text()).withMaxTokens(row.max());
      all.addAll(embedder.embed(request));
    }
    return all;
  }

  @Test
  void makesTheVectorsOfTheModel() throws IOException {
    List<Row> rows = rows();
    Budget budget = Budget.of("256MiB");
    Options options = Options.usual().withParseSpecial(true);
    try (Embedder embedder = open(budget, options.withPrecision(Precision.FLOAT))) {
      List<Embedding> vectors = embed(embedder, rows);
      assertThat(worst(vectors, vectors("vectors_q8_0.f32", rows.size()))).isLessThan(1e-9);
      for (int i = 0; i < rows.size(); i++) {
        assertThat(vectors.get(i).tokens())
            .as(rows.get(i).name())
            .isEqualTo(rows.get(i).ids.length);
      }
      assertThat(embedder.dimensions()).isEqualTo(384);
      assertThat(embedder.maxTokens()).isEqualTo(512);
    }
    try (Embedder embedder = open(budget, options.withPrecision(Precision.EIGHT_BIT))) {
      assertThat(worst(embed(embedder, rows), vectors("vectors.f32", rows.size())))
          .isLessThan(3e-3);
    }
    assertThat(budget.used()).isZero();
  }

  /** No bit depends on what is computed beside a text, or on how many compute. */
  @Test
  void vectorsDoNotDependOnEachOther() throws Exception {
    List<String> texts =
        rows().stream().map(Row::text).filter(text -> text.length() < 80).limit(12).toList();
    List<float[]> alone = new ArrayList<>();
    Budget budget = Budget.of("256MiB");
    try (Embedder embedder = Embedder.open(MODEL, host(budget), Options.usual().withWorkers(1))) {
      texts.forEach(text -> alone.add(embedder.embed(text).vector()));
    }
    try (Embedder embedder = Embedder.open(MODEL, host(budget), Options.usual().withWorkers(3));
        ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<Embedding>>> all =
          IntStream.range(0, 4)
              .mapToObj(caller -> callers.submit(() -> embedder.embed(rotated(texts, caller))))
              .toList();
      for (int caller = 0; caller < all.size(); caller++) {
        List<float[]> expected = rotated(alone, caller);
        List<Embedding> got = all.get(caller).get();
        for (int i = 0; i < texts.size(); i++) {
          assertThat(got.get(i).vector()).isEqualTo(expected.get(i));
        }
      }
    }
    assertThat(budget.used()).isZero();
  }

  private static <T> List<T> rotated(List<T> list, int by) {
    List<T> rotated = new ArrayList<>(list.subList(by, list.size()));
    rotated.addAll(list.subList(0, by));
    return rotated;
  }

  @Test
  void cutsOrRefusesWhatIsTooLong() {
    String text = "one two three ".repeat(400);
    try (Embedder embedder = open(Budget.of("256MiB"), Options.usual().withContext(64))) {
      Embedding cut = embedder.embed(text);
      assertThat(cut.cut()).isTrue();
      assertThat(cut.tokens()).isEqualTo(64);
      // 62 words, and the special token at the end.
      assertThat(embedder.embed("one two three ".repeat(20) + "one two").vector())
          .isEqualTo(cut.vector());
      EmbeddingRequest strict =
          EmbeddingRequest.of(text).withLongTexts(EmbeddingRequest.LongTexts.REFUSE);
      assertThatThrownBy(() -> embedder.embed(strict))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("1,202 tokens")
          .hasMessageContaining("64");
      Embedding blank = embedder.embed("  ");
      assertThat(blank.tokens()).isEqualTo(2);
      assertThat(length(blank.vector())).isCloseTo(1, within(1e-6));
    }
  }

  @Test
  void makesVectorsShorter() {
    try (Embedder embedder = open(Budget.of("256MiB"), Options.usual())) {
      float[] whole = embedder.embed("A cat on the sill.").vector();
      EmbeddingRequest request = EmbeddingRequest.of("A cat on the sill.");
      float[] some = embedder.embed(request.withDimensions(100)).getFirst().vector();
      double size = length(Arrays.copyOf(whole, 100));
      assertThat(some).hasSize(100);
      for (int i = 0; i < some.length; i++) {
        assertThat((double) some[i]).isCloseTo(whole[i] / size, within(1e-6));
      }
      double bare = length(embedder.embed(request.withNormalised(false)).getFirst().vector());
      assertThat(Math.abs(bare - 1)).isGreaterThan(0.01);
      assertThatThrownBy(() -> embedder.embed(request.withDimensions(385)))
          .hasMessageContaining("384");
    }
  }

  private static double length(float[] vector) {
    double squares = 0;
    for (float x : vector) {
      squares += (double) x * x;
    }
    return Math.sqrt(squares);
  }

  @Test
  void putsWordsBeforeTextsOnRequest() {
    try (Embedder embedder = open(Budget.of("256MiB"), Options.usual())) {
      EmbeddingRequest request = EmbeddingRequest.of("a cat");
      float[] plain = embedder.embed("a cat").vector();
      assertThat(embedder.embed(request.withTask(Task.QUERY)).getFirst().vector()).isEqualTo(plain);
      assertThat(embedder.embed(request.withPrefix("query: ")).getFirst().vector())
          .isEqualTo(embedder.embed("query: a cat").vector());
    }
    Path gemma = TestData.path("golden/gemma-embedding/model.gguf");
    try (Embedder embedder = open(gemma, Budget.of("64MiB"), Options.usual())) {
      EmbeddingRequest request = EmbeddingRequest.of("cat");
      assertThat(embedder.embed(request.withTask(Task.DOCUMENT)).getFirst().vector())
          .isEqualTo(embedder.embed("title: none | text: cat").vector());
    }
    Path bert = TestData.path("golden/bert/model.gguf");
    try (Embedder embedder = open(bert, Budget.of("64MiB"), Options.usual())) {
      assertThatThrownBy(() -> embedder.embed(EmbeddingRequest.of("cat").withTask(Task.QUERY)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("golden-bert");
    }
  }

  @Test
  void givesAVectorForEachToken() {
    Path bert = TestData.path("golden/bert/model.gguf");
    Options each = Options.usual().withPooling(Pooling.NONE);
    try (Embedder embedder = open(bert, Budget.of("64MiB"), each)) {
      assertThat(embedder.embedTokens("a b c")).hasSize(5).allMatch(row -> row.length == 64);
      assertThatThrownBy(() -> embedder.embed("a b c")).hasMessageContaining("each token");
    }
  }

  /** All is taken when the model is opened: what is computed takes nothing more. */
  @Test
  void keepsToItsPlan() {
    Budget budget = Budget.of("160MiB");
    Plan plan = Knapsack.plan(MODEL, host(budget), Options.usual().withWorkers(2));
    assertThat(plan.toString()).contains("texts of up to 512 tokens").contains("READ");
    try (Embedder embedder = open(budget, Options.usual())) {
      long used = budget.used();
      assertThat(used).isLessThanOrEqualTo(plan.bytes());
      embedder.embed(IntStream.range(0, 50).mapToObj("text number %d "::formatted).toList());
      assertThat(budget.used()).isEqualTo(used);
    }
    assertThat(budget.used()).isZero();
    assertThatThrownBy(() -> open(Budget.of("1MiB"), Options.usual()))
        .isInstanceOf(PlanDoesNotFitException.class);
  }

  @Test
  void refusesWhatIsClosedOrOfAnotherKind() {
    Budget budget = Budget.of("256MiB");
    Embedder embedder = open(budget, Options.usual());
    embedder.close();
    assertThatThrownBy(() -> embedder.embed("a")).isInstanceOf(EngineClosedException.class);
    assertThatThrownBy(() -> Knapsack.open(MODEL, host(budget), Options.usual()))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("embedding model");
    assertThatThrownBy(() -> Reranker.open(MODEL, host(budget), Options.usual()))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("embedding model");
    Path reranker = TestData.path("golden/bert_rerank/model.gguf");
    assertThatThrownBy(() -> open(reranker, budget, Options.usual()))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("reranker");
    Path qwen = TestData.path("golden/qwen3/model.gguf");
    assertThatThrownBy(() -> open(qwen, budget, Options.usual()))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("pooling_type");
    assertThat(budget.used()).isZero();
  }

  @Test
  void ranksDocuments() {
    Path model = TestData.path("golden/bert_rerank/model.gguf");
    Budget budget = Budget.of("64MiB");
    try (Reranker reranker = Reranker.open(model, host(budget), Options.usual().withWorkers(1))) {
      List<String> documents = List.of("a b c", "d e f g", "", "b ".repeat(300));
      List<Reranker.Score> scores = reranker.rank("a c", documents);
      assertThat(scores.stream().map(Reranker.Score::index)).containsExactlyInAnyOrder(0, 1, 2, 3);
      for (int i = 0; i < scores.size(); i++) {
        Reranker.Score score = scores.get(i);
        assertThat(score.cut()).isEqualTo(score.index() == 3);
        if (i > 0) {
          assertThat(score.score()).isLessThanOrEqualTo(scores.get(i - 1).score());
        }
        List<Reranker.Score> alone = reranker.rank("a c", List.of(documents.get(score.index())));
        assertThat(alone.getFirst().score()).isEqualTo(score.score());
      }
    }
    assertThat(budget.used()).isZero();
  }

  /** The words that this kind is asked with take more than the small model's context. */
  @Test
  void refusesAContextWithoutRoomForADocument() {
    Path model = TestData.path("golden/qwen3_rerank/model.gguf");
    Options options = Options.usual().withWorkers(1);
    try (Reranker reranker = Reranker.open(model, host(Budget.of("64MiB")), options)) {
      assertThatThrownBy(() -> reranker.rank("a", List.of("b")))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("256");
    }
  }
}
