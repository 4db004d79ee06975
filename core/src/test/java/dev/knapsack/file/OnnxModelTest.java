package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Encoders in ONNX files, against GGUF files of the same models. */
class OnnxModelTest {
  @TempDir Path folder;

  private Path write(boolean codes, boolean external) throws IOException {
    Path file = folder.resolve("small" + (codes ? "-q" : "") + ".onnx");
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      OnnxFixture.write(golden, file, codes, external);
      EncoderFixture.wordPieces(golden, folder.resolve("small-tokenizer.json"), true);
    }
    return file;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void weightsAreThoseOfTheGguf(boolean external) throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert");
        ModelFile model = ModelFile.open(write(false, external))) {
      assertThat(model.tensors().keySet())
          .containsExactlyInAnyOrderElementsOf(golden.tensors().keySet());
      for (TensorInfo tensor : golden.tensors().values()) {
        assertThat(model.tensors().get(tensor.name())).isEqualTo(tensor);
        assertThat(EncoderFixture.read(model, tensor))
            .as(tensor.name())
            .isEqualTo(EncoderFixture.read(golden, tensor));
      }
      for (String key : golden.metadata().all().keySet()) {
        if (!key.endsWith("pre") && !key.endsWith("name") && !key.endsWith("file_type")) {
          assertThat(model.ggufMetadata().all().get(key))
              .as(key)
              .isEqualTo(golden.metadata().all().get(key));
        }
      }
      assertThat(model.notes()).hasSize(1).first().asString().contains("their mean is taken");
      assertThat(model.files()).hasSize(external ? 2 : 1);
      assertThat(Tokenizer.of(model).encode("a cat", true, false))
          .isEqualTo(Tokenizer.of(golden).encode("a cat", true, false));
    }
  }

  @Test
  void codesAreWhatTheyStandFor() throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert");
        ModelFile model = ModelFile.open(write(true, false))) {
      assertThat(model.notes()).hasSize(2).anyMatch(note -> note.contains("codes of 8 bits"));
      for (TensorInfo tensor : golden.tensors().values()) {
        float[] expected = EncoderFixture.floats(golden, tensor);
        float[] values = EncoderFixture.floats(model, model.tensors().get(tensor.name()));
        int columns = tensor.shape().getFirst().intValue();
        boolean table = tensor.name().matches("token_(embd|types).*|position.*") && columns > 0;
        boolean coded = tensor.shape().size() > 1;
        float whole = most(expected, 0, expected.length) / 127;
        for (int row = 0; row < values.length; row += columns) {
          float step = !coded ? 0 : table ? whole : most(expected, row, columns) / 64;
          float error = 0;
          for (int i = row; i < row + columns; i++) {
            error = Math.max(error, Math.abs(values[i] - expected[i]));
          }
          assertThat(error).as(tensor.name()).isLessThanOrEqualTo(step * 0.501f);
        }
      }
    }
  }

  private static float most(float[] values, int from, int count) {
    float most = 0;
    for (int i = from; i < from + count; i++) {
      most = Math.max(most, Math.abs(values[i]));
    }
    return most;
  }

  /** Readers ask for any stretch. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyStretchCanBeRead(long seed) throws IOException {
    Random random = new Random(seed);
    for (boolean codes : new boolean[] {false, true}) {
      try (ModelFile model = ModelFile.open(write(codes, false));
          Arena arena = Arena.ofConfined()) {
        for (TensorInfo tensor : model.tensors().values()) {
          byte[] all = EncoderFixture.read(model, tensor);
          int from = random.nextInt(all.length);
          int length = 1 + random.nextInt(all.length - from);
          MemorySegment part = arena.allocate(length);
          model.read(tensor, from, part);
          assertThat(part.toArray(ValueLayout.JAVA_BYTE))
              .as(tensor.name())
              .isEqualTo(Arrays.copyOfRange(all, from, from + length));
        }
      }
    }
  }

  @Test
  void poolingBesideItIsTaken() throws IOException {
    Path onnx = Files.createDirectories(folder.resolve("onnx"));
    Files.move(write(false, false), onnx.resolve("model.onnx"));
    Files.move(folder.resolve("small-tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.createDirectories(folder.resolve("1_Pooling"));
    Files.writeString(
        folder.resolve("1_Pooling/config.json"), "{\"pooling_mode_cls_token\": true}");
    try (ModelFile model = ModelFile.open(onnx.resolve("model.onnx"))) {
      assertThat(model.metadata().integer("bert.pooling_type")).isEqualTo(2);
      assertThat(model.tokenizerJson()).isPresent();
      assertThat(model.notes()).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "Softmax\"\7Softmax | Softmax\"\7Softmin | node /encoder/layer.0/attention/self/Softmax:"
            + " 'Softmin' is not",
        "layer.1/attention/self/query/MatMul\" | laser.1/attention/self/query/MatMul\" |"
            + " 'MatMul' is not understood here",
        "last_hidden_state | first_hidden_stat | first_hidden_stat, are expected alone",
        "intermediate_act_fn/Erf\" | intermediate_act_fn/Ert\" | /Erf: there is no such node",
        "onnx::MatMul_703 | onnx::MatMul_903 | no weight of the file",
      })
  void whatIsNotUnderstoodIsNamed(String from, String to, String message) throws IOException {
    Path file = write(false, false);
    replaceFirst(file, from, to);
    assertThatThrownBy(() -> ModelFile.open(file).close())
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(message);
  }

  private static void replaceFirst(Path file, String from, String to) throws IOException {
    String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
    int at = bytes.indexOf(from);
    assertThat(at).isPositive();
    assertThat(to).hasSameSizeAs(from);
    Files.writeString(
        file,
        bytes.substring(0, at) + to + bytes.substring(at + from.length()),
        StandardCharsets.ISO_8859_1);
  }

  /** A damaged file is a model or says what is wrong with it, and holds no file open. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void damagedFilesSayWhatIsWrong(long seed) throws IOException {
    Random random = new Random(seed);
    Path file = write(random.nextBoolean(), false);
    byte[] whole = Files.readAllBytes(file);
    for (int i = 0; i < 60; i++) {
      byte[] bytes =
          random.nextInt(3) == 0
              ? Arrays.copyOf(whole, random.nextInt(whole.length))
              : whole.clone();
      for (int n = 0; n < 3 && bytes.length > 0; n++) {
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      }
      Files.write(file, bytes);
      try (ModelFile model = ModelFile.open(file)) {
        assertThat(model.tensors()).isNotEmpty();
      } catch (ModelFileException expected) {
        assertThat(expected).hasMessageStartingWith(file + ": ");
      }
    }
  }

  @Test
  void aResourceInAJarIsUnpackedAsLongAsItIsOpen() throws IOException {
    Path file = write(false, false);
    Path jar = folder.resolve("models.jar");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(jar))) {
      for (Path one : List.of(file, folder.resolve("small-tokenizer.json"))) {
        zip.putNextEntry(new ZipEntry("in/" + one.getFileName()));
        Files.copy(one, zip);
        zip.closeEntry();
      }
    }
    try (URLClassLoader resources = new URLClassLoader(new URL[] {jar.toUri().toURL()}, null)) {
      Path unpacked;
      try (ModelFile direct = ModelFile.open(file);
          ModelFile model = ModelFile.open("classpath:in/small.onnx", resources)) {
        unpacked = model.path().getParent();
        assertThat(model.tensors()).isEqualTo(direct.tensors());
        assertThat(model.metadata().all()).isEqualTo(direct.metadata().all());
        TensorInfo tensor = model.tensors().get("blk.1.ffn_up.weight");
        assertThat(EncoderFixture.read(model, tensor))
            .isEqualTo(EncoderFixture.read(direct, tensor));
        assertThat(model.tokenizerJson()).isPresent();
        try (Stream<Path> files = Files.list(unpacked)) {
          assertThat(files).hasSize(2);
        }
      }
      assertThat(unpacked).doesNotExist();
      assertThatThrownBy(() -> ModelFile.open("classpath:none.onnx", resources))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("none.onnx: resource: there is no such resource");
    }
    try (URLClassLoader files = new URLClassLoader(new URL[] {folder.toUri().toURL()}, null);
        ModelFile model = ModelFile.open("classpath:small.onnx", files)) {
      assertThat(model.path()).isEqualTo(file);
    }
  }
}
