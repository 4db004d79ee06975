package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A GGUF model in several files. */
class GgufPartsTest {
  private static final int TENSORS = 5;

  @TempDir Path folder;

  private static TensorInfo tensor(int number) {
    return new TensorInfo("t" + number, Formats.F32, List.of(8L + number));
  }

  private static MetadataBuilder split(int number, int count, int tensors) {
    MetadataBuilder metadata = new MetadataBuilder();
    if (number == 0) {
      metadata.string("general.architecture", "x").strings("words", List.of("a", "b"));
    }
    return metadata
        .put("split.no", ValueType.UINT16, number)
        .put("split.count", ValueType.UINT16, count)
        .put("split.tensors.count", ValueType.INT32, tensors);
  }

  private Path part(String base, int number, int count) {
    return folder.resolve("%s-%05d-of-%05d.gguf".formatted(base, number, count));
  }

  /** Tensors from one to another, each filled with its number. */
  private static void write(Path path, MetadataBuilder metadata, int from, int to) {
    List<TensorInfo> tensors = IntStream.range(from, to).mapToObj(GgufPartsTest::tensor).toList();
    try (GgufWriter writer = GgufWriter.create(path, metadata.build(path), tensors);
        Arena arena = Arena.ofConfined()) {
      for (int i = from; i < to; i++) {
        MemorySegment values = arena.allocate(tensor(i).bytes(), 4);
        for (int v = 0; v < values.byteSize() / 4; v++) {
          values.setAtIndex(ValueLayout.JAVA_FLOAT, v, i + v / 100f);
        }
        writer.write(tensor(i), values);
      }
      writer.finish();
    }
  }

  /** The first part may hold the metadata alone. */
  private void writeAll() {
    write(part("m", 1, 3), split(0, 3, TENSORS), 0, 0);
    write(part("m", 2, 3), split(1, 3, TENSORS), 0, 2);
    write(part("m", 3, 3), split(2, 3, TENSORS), 2, TENSORS);
  }

  private static void refused(Path path, String... message) {
    assertThatThrownBy(() -> ModelFile.open(path).close())
        .isInstanceOf(ModelFileException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(message));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void theWholeModelIsReadWhicheverPartIsNamed(int named) {
    writeAll();
    try (ModelFile model = ModelFile.open(part("m", named, 3));
        Arena arena = Arena.ofConfined()) {
      assertThat(model.path()).isEqualTo(part("m", 1, 3));
      assertThat(model.files()).containsExactly(part("m", 1, 3), part("m", 2, 3), part("m", 3, 3));
      assertThat(model.metadata().all()).containsOnlyKeys("general.architecture", "words");
      assertThat(model.tensors()).hasSize(TENSORS);
      for (int i = 0; i < TENSORS; i++) {
        TensorInfo tensor = model.tensors().get("t" + i);
        assertThat(tensor).isEqualTo(tensor(i));
        MemorySegment last = arena.allocate(4, 4);
        model.read(tensor, tensor.bytes() - 4, last);
        assertThat(last.get(ValueLayout.JAVA_FLOAT, 0)).isEqualTo(i + (7 + i) / 100f);
        assertThat(model.alignment(tensor, 4)).isEqualTo((model.alignment(tensor, 0) + 4) % 4096);
      }
    }
  }

  @Test
  void aCopyInOneFileIsWhole() {
    writeAll();
    Path copy = folder.resolve("copy.gguf");
    try (ModelFile model = ModelFile.open(part("m", 2, 3))) {
      write(copy, new MetadataBuilder(model.metadata()), 0, TENSORS);
      try (ModelFile whole = ModelFile.open(copy)) {
        assertThat(whole.tensors()).isEqualTo(model.tensors());
        assertThat(whole.metadata().all()).isEqualTo(model.metadata().all());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void aMissingPartIsNamed(int missing) throws IOException {
    writeAll();
    Files.delete(part("m", missing, 3));
    refused(
        part("m", missing == 3 ? 1 : 3, 3),
        part("m", missing, 3) + ": ",
        "no such file, and it is part %d of the 3 that m-0000".formatted(missing));
  }

  @ParameterizedTest
  @CsvSource({
    "2, 3, 5, 'split.no: is 2, and must be 1'",
    "1, 2, 5, 'split.count: is 2, and must be 3'",
    "1, 3, 9, 'split.tensors.count: is 9, and must be 5'"
  })
  void aPartOfAnotherModelIsNamed(int number, int count, int tensors, String problem) {
    writeAll();
    write(part("m", 2, 3), split(number, count, tensors), 0, 2);
    refused(part("m", 1, 3), part("m", 2, 3) + ": " + problem, "to belong to the model of m-00001");
  }

  @Test
  void aWholeModelIsNoPart() {
    writeAll();
    write(part("m", 2, 3), new MetadataBuilder(), 0, 2);
    refused(part("m", 3, 3), part("m", 2, 3) + ": split.no: is missing, and must be 1");
  }

  @Test
  void tensorsThatAreMissingOrThereTwiceAreFound() {
    writeAll();
    write(part("m", 2, 3), split(1, 3, TENSORS), 0, 1);
    refused(part("m", 1, 3), "split.tensors.count: says 5, and the 3 parts have 4");
    write(part("m", 2, 3), split(1, 3, TENSORS), 1, 3);
    refused(part("m", 1, 3), part("m", 3, 3) + ": t2: is a tensor of m-00002-of-00003.gguf too");
  }

  @Test
  void aPartUnderAnotherNameIsNotGuessedAt() throws IOException {
    writeAll();
    Path renamed = folder.resolve("model.gguf");
    Files.move(part("m", 2, 3), renamed);
    refused(renamed, "part 2 of 3 of a model", "must end in '-00002-of-00003.gguf'");
    Files.move(renamed, part("m", 1, 3), StandardCopyOption.REPLACE_EXISTING);
    refused(part("m", 1, 3), "part 2 of 3 of a model");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void onePartIsAWholeModel(int count) {
    write(folder.resolve("m.gguf"), split(0, count, TENSORS), 0, TENSORS);
    try (ModelFile model = ModelFile.open(folder.resolve("m.gguf"))) {
      assertThat(model.tensors()).hasSize(TENSORS);
      assertThat(model.metadata().integer("split.count")).isEqualTo(count);
    }
  }
}
