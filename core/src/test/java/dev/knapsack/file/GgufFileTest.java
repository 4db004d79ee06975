package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class GgufFileTest {
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
}
