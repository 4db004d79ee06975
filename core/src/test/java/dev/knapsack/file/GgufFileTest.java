package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GgufFileTest {
  @TempDir Path folder;

  @Test
  void everyGoldenModelOpens() throws IOException {
    List<Path> models;
    try (Stream<Path> found = Files.walk(TestData.path("golden"))) {
      models = found.filter(p -> p.toString().endsWith(".gguf")).toList();
    }
    assertThat(models).isNotEmpty();
    for (Path model : models) {
      try (ModelFile file = ModelFile.open(model)) {
        assertThat(file.metadata().string("general.architecture")).isNotBlank();
        assertThat(file.tensors()).containsKey("token_embd.weight");
      }
    }
  }

  @Test
  void vocabulariesOpen() throws IOException {
    List<Path> models;
    try (Stream<Path> found = Files.list(TestData.path("tokenizers"))) {
      models = found.filter(p -> p.toString().endsWith(".gguf")).toList();
    }
    assertThat(models).isNotEmpty();
    for (Path model : models) {
      try (ModelFile file = ModelFile.open(model)) {
        List<String> tokens = file.metadata().strings("tokenizer.ggml.tokens");
        assertThat(file.metadata().integers("tokenizer.ggml.token_type")).hasSize(tokens.size());
        assertThat(tokens).doesNotContainNull();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-100_000, -1, 1})
  void aFileThatChangesIsRefused(int bytes) throws IOException {
    Path copy = folder.resolve("model.gguf");
    byte[] content = Files.readAllBytes(TestData.path("golden/llama/model.gguf"));
    Files.write(copy, content);
    try (ModelFile file = ModelFile.open(copy);
        Arena arena = Arena.ofConfined()) {
      TensorInfo last = List.copyOf(file.tensors().values()).getLast();
      MemorySegment into = arena.allocate(last.bytes());
      file.read(last, 0, into);
      try (FileChannel channel = FileChannel.open(copy, StandardOpenOption.WRITE)) {
        channel.truncate(content.length + Math.min(0, bytes));
        channel.write(ByteBuffer.allocate(Math.max(0, bytes)), content.length);
      }
      assertThatThrownBy(() -> file.read(last, 0, into))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining(copy + ": " + last.name())
          .hasMessageContaining("the file changed while it was open; open it again");
    }
  }

  @Test
  void whatIsNotThereIsNamed() {
    assertThatThrownBy(() -> ModelFile.open(folder.resolve("none.gguf")))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("none.gguf: file: there is no such file");
  }
}
