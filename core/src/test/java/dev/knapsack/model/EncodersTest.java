package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.model.Encoding.Pooling;
import dev.knapsack.model.arch.Families;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Compares vectors and scores of texts with those that others computed. */
@Execution(ExecutionMode.CONCURRENT)
class EncodersTest {
  private static final double FLOAT = 1e-9;

  private static final List<KernelProvider> PROVIDERS = KernelProvider.here();

  /** The rows of the file, by what they are pooled by: as it says, or otherwise. */
  @ParameterizedTest
  @CsvSource({
    "bert, embeddings_ref, NONE",
    "bert, pooled_ref,",
    "bert, pooled_cls_ref, FIRST",
    "bert_rerank, pooled_types_ref,",
    "nomic-bert, embeddings, NONE",
    "nomic-bert, pooled,",
    "jina-bert-v2, embeddings_ref, NONE",
    "jina-bert-v2, pooled_ref,",
    "modern-bert, embeddings_ref, NONE",
    "modern-bert, pooled_ref,",
    "modern-bert, pooled_mean_ref, MEAN",
    "gemma-embedding, embeddings_ref, NONE",
    "gemma-embedding, pooled_ref,",
    "qwen3_embed, embeddings, NONE",
    "qwen3_embed, pooled,",
    "qwen3_rerank, pooled,"
  })
  void goldenModels(String name, String expected, Pooling pooling) throws IOException {
    Path folder = TestData.path("golden/" + name);
    List<int[]> texts = texts(folder.resolve("tokens.json"));
    float[] numbers = GoldenModelsTest.numbers(folder.resolve(expected + ".f32"));
    try (ModelFile file = ModelFile.open(folder.resolve("model.gguf"))) {
      ModelSpec spec = with(Families.spec(file), pooling);
      for (KernelProvider provider : PROVIDERS) {
        for (int workers : provider == KernelProvider.SCALAR ? List.of(1) : List.of(1, 3)) {
          Rig.Parts parts = Rig.Parts.USUAL.with(provider).workers(workers).tokens(256);
          try (Rig rig = new Rig(file, spec, parts, KvPolicy.FULL)) {
            float[] together = encode(rig, texts);
            assertThat(Rig.error(numbers, together))
                .as("%s of %s, by %s", expected, name, provider)
                .isLessThan(FLOAT);
            List<float[]> each = new ArrayList<>();
            texts.forEach(text -> each.add(encode(rig, List.of(text))));
            assertThat(joined(each)).as("%s, one by one", name).isEqualTo(together);
          }
        }
      }
    }
  }

  /** Tokens after the first separator are of the second text; elsewhere there is one text. */
  @Test
  void partsOfAText() throws IOException {
    for (String name : List.of("bert", "bert_rerank")) {
      Path folder = TestData.path("golden/" + name);
      List<int[]> texts = texts(folder.resolve("tokens.json"));
      float[] numbers = GoldenModelsTest.numbers(folder.resolve("embeddings_types_ref.f32"));
      try (ModelFile file = ModelFile.open(folder.resolve("model.gguf"))) {
        ModelSpec spec = with(Families.spec(file), Pooling.NONE);
        List<Block> opening = new ArrayList<>(spec.opening());
        PlaceEmbeddings places = (PlaceEmbeddings) opening.getFirst();
        if (name.equals("bert")) {
          assertThat(places.separator()).isEqualTo(-1);
          // Its list has other parts than those that a separator makes.
          List<int[]> types = texts(folder.resolve("token_types.json"));
          texts = List.of(texts.get(2));
          assertThat(types.get(2)).containsExactly(0, 0, 1, 1, 1);
          numbers = Arrays.copyOfRange(numbers, numbers.length - 5 * 64, numbers.length);
        } else {
          assertThat(places.separator()).isEqualTo(3);
        }
        opening.set(0, new PlaceEmbeddings(places.width(), places.positions(), places.types(), 3));
        ModelSpec typed =
            new ModelSpec(
                spec.family(),
                spec.name(),
                spec.width(),
                spec.vocabulary(),
                spec.context(),
                spec.layers(),
                spec.centredNorms(),
                spec.normEpsilon(),
                1,
                1,
                1,
                0,
                null,
                null,
                spec.tiedOutput(),
                null,
                new Encoding(Pooling.NONE, List.of(), false),
                opening,
                List.of());
        Rig.Parts parts = Rig.Parts.USUAL.with(PROVIDERS.getLast()).tokens(256);
        try (Rig rig = new Rig(file, typed, parts, KvPolicy.FULL)) {
          assertThat(Rig.error(numbers, encode(rig, texts))).as(name).isLessThan(FLOAT);
        }
      }
    }
  }

  @Test
  void slopesOfHeads() {
    assertThat(slopes(8)).containsExactly(numbers(1, 2, 3, 4, 5, 6, 7, 8));
    assertThat(slopes(12)).containsExactly(numbers(1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5));
  }

  private static float[] slopes(int heads) {
    return new Attention.Slopes(heads).numbers().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT);
  }

  private static float[] numbers(double... exponents) {
    float[] numbers = new float[exponents.length];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) Math.pow(2, -exponents[i]);
    }
    return numbers;
  }

  /** A step takes no more than its workspace has room for, and texts of other sequences none. */
  @Test
  void refusesWhatIsTooLong() throws IOException {
    try (ModelFile file = ModelFile.open(TestData.path("golden/bert/model.gguf"));
        Rig rig = new Rig(file, Rig.Parts.USUAL.tokens(16))) {
      assertThatThrownBy(() -> encode(rig, List.of(new int[17])))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("17 tokens");
    }
  }

  private static ModelSpec with(ModelSpec spec, Pooling pooling) {
    Encoding encoding = spec.encoding();
    assertThat(encoding).isNotNull();
    return pooling == null
        ? spec
        : new ModelSpec(
            spec.family(),
            spec.name(),
            spec.width(),
            spec.vocabulary(),
            spec.context(),
            spec.layers(),
            spec.centredNorms(),
            spec.normEpsilon(),
            spec.embeddingScale(),
            spec.residualScale(),
            spec.logitScale(),
            spec.logitSoftCap(),
            spec.embeddingNorm(),
            spec.outputNorm(),
            spec.tiedOutput(),
            null,
            encoding.withPooling(pooling),
            spec.opening(),
            spec.closing());
  }

  private static float[] encode(Rig rig, List<int[]> texts) {
    boolean last = rig.spec.encoding().pooling() == Pooling.LAST;
    return Rig.floats(
        rig.transformer.encode(
            texts.stream().map(text -> Run.text(text, last ? 1 : text.length)).toList()));
  }

  private static float[] joined(List<float[]> parts) {
    float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  private static List<int[]> texts(Path path) throws IOException {
    Matcher lists = Pattern.compile("\\[([0-9, ]+)]").matcher(Files.readString(path));
    List<int[]> texts = new ArrayList<>();
    while (lists.find()) {
      texts.add(Arrays.stream(lists.group(1).split(", *")).mapToInt(Integer::parseInt).toArray());
    }
    return texts;
  }
}
