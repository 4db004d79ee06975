package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a server sends in place of a file. */
class ModelBytesTest {
  private static Optional<String> problem(String name, byte[] content) throws IOException {
    return ModelBytes.problem(Path.of("folder", name), GgufBytes.source(content));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "m.gguf | <!DOCTYPE html><html> | a web page came, and no GGUF file: it begins with"
            + " '<!DOCTYPE html><html>'",
        "m.gguf | '  <html>' | a web page came",
        "m.gguf | {\"error\": \"not found\"} | something else came, and no GGUF file: it begins"
            + " with '{\"error",
        "m.gguf | '' | nothing came, and no GGUF file",
        "m.gguf | GGU | something else came",
        "m.gguf | GGUF | no whole GGUF file came",
        "m | version https://git-lfs.github.com/spec/v1 | something else came, and no GGUF file",
        "m.gguf{id=2} | <html> | a web page came",
        "a.json | <html> | a web page came, and no JSON file",
        "a.json | Not Found | something else came, and no JSON file",
        "a.json | [] |",
        "a.json | ' {}' |",
        "a.jinja | <head> | a web page came, and no template",
        "a.jinja | <s>{{ x }} |",
        "a.safetensors | <html><html><html> | a web page came, and no safetensors file",
        "a.safetensors | 123 | something else came, and no safetensors file",
        "a.safetensors | 12345678{} |"
      })
  void aFileMustBeginAsItsNameSays(String name, String content, String problem) throws IOException {
    Optional<String> found = problem(name, content.getBytes(StandardCharsets.UTF_8));
    if (problem == null) {
      assertThat(found).isEmpty();
    } else {
      assertThat(found.orElseThrow()).contains(problem);
    }
  }

  @ParameterizedTest
  @CsvSource({"imatrix", "adapter", "mmproj", "vocab"})
  void whatOnlyLiesBesideModelsSaysSo(String type) throws IOException {
    GgufBytes gguf = GgufBytes.header(1, 2);
    gguf.string("general.quantization_version").i32(4).i32(2);
    gguf.string("general.type").i32(8).string(type);
    assertThat(problem("m.gguf", gguf.bytes()).orElseThrow())
        .isEqualTo("it says that it is of the type '" + type + "', and no model");
  }

  @Test
  void aModelHasTensors() throws IOException {
    byte[] none = GgufBytes.header(0, 1).string("general.type").i32(8).string("model").bytes();
    byte[] some = GgufBytes.header(1, 1).string("general.type").i32(8).string("model").bytes();
    assertThat(problem("m.gguf", none).orElseThrow()).contains("holds no tensors");
    assertThat(problem("m-00001-of-00002.gguf", none)).isEmpty();
    assertThat(problem("m.gguf", some)).isEmpty();
  }
}
