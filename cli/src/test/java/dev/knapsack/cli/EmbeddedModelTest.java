package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.arch.Families;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EmbeddedModelTest {
  @TempDir Path directory;

  @Test
  void theExtractedFileIsAModel() throws IOException {
    Path path = EmbeddedModel.extract(directory.resolve("made/on/the/way"));
    try (ModelFile file = ModelFile.open(path)) {
      assertThat(file.metadata().string("general.architecture")).isEqualTo("llama");
      assertThat(Tokenizer.of(file).size()).isEqualTo(1280);
    }
  }

  @Test
  void aWholeFileIsLeftAlone() throws IOException {
    Path path = EmbeddedModel.extract(directory);
    FileTime longAgo = FileTime.fromMillis(1_000_000);
    Files.setLastModifiedTime(path, longAgo);
    assertThat(EmbeddedModel.extract(directory)).isEqualTo(path);
    assertThat(Files.getLastModifiedTime(path)).isEqualTo(longAgo);
  }

  @Test
  void aDamagedFileIsReplaced() throws IOException {
    Path path = EmbeddedModel.extract(directory);
    byte[] whole = Files.readAllBytes(path);
    byte[] damaged = whole.clone();
    damaged[damaged.length / 2] ^= 1;
    Files.write(path, damaged);
    assertThat(EmbeddedModel.extract(directory)).hasBinaryContent(whole);
    Files.write(path, new byte[0]);
    assertThat(EmbeddedModel.extract(directory)).hasBinaryContent(whole);
  }

  @Test
  void manyAtOnceLeaveOneWholeFileAndNothingElse() throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      var paths =
          IntStream.range(0, 8)
              .mapToObj(i -> threads.submit(() -> EmbeddedModel.extract(directory)))
              .toList();
      for (Future<Path> path : paths) {
        assertThat(path.get()).isRegularFile();
      }
    }
    try (Stream<Path> files = Files.list(directory)) {
      assertThat(files.map(Path::getFileName).map(Path::toString))
          .containsExactlyInAnyOrder(
              EmbeddedModel.FILE_NAME,
              EmbeddedModel.FILE_NAME + ".kv.json",
              EmbeddedModel.FILE_NAME + ".cskv.gguf");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"duo", "compresskv", "hack", "scalekv", "epicache", "cskv"})
  void recipesThatGoByWhatWasMeasuredOfItWork(String recipe) throws IOException {
    try (ModelFile file = ModelFile.open(EmbeddedModel.extract(directory))) {
      KvPolicy policy = Recipe.of(recipe);
      assertThat(policy.lacks()).isNotEmpty();
      assertThat(ModelCompanions.given(policy, file, Families.spec(file)).lacks()).isEmpty();
    }
  }

  @Test
  void whatTheUserMeasuredIsLeftAlone() throws IOException {
    Path path = EmbeddedModel.extract(directory);
    Path figures = path.resolveSibling(path.getFileName() + ".kv.json");
    Files.writeString(figures, "mine");
    EmbeddedModel.extract(directory);
    assertThat(figures).hasContent("mine");
    Files.delete(figures);
    EmbeddedModel.extract(directory);
    assertThat(figures).content().contains("similarity");
    // Of another model than the one that was here: it goes with that.
    Files.write(path, new byte[1]);
    Files.writeString(figures, "of the other");
    EmbeddedModel.extract(directory);
    assertThat(figures).content().contains("similarity");
  }

  @Test
  void aPlaceThatCannotBeWrittenIsNamed() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    assertThatThrownBy(() -> EmbeddedModel.extract(file.resolve("below")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("file");
  }
}
