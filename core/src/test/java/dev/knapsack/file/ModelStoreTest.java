package dev.knapsack.file;

import static dev.knapsack.file.FakeHub.file;
import static dev.knapsack.file.FakeHub.status;
import static dev.knapsack.file.FakeHub.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelStoreTest {
  private static final byte[] CONTENT = DownloadTest.bytes(1, 10_000);

  @TempDir Path folder;
  private FakeHub hub;
  private ModelStore store;

  @BeforeEach
  void start() throws IOException {
    hub = new FakeHub();
    store =
        new ModelStore(
            new StoreSettings(
                folder, hub.uri(""), Optional.empty(), 2, Duration.ZERO, Duration.ofSeconds(20)));
  }

  @AfterEach
  void stop() {
    hub.close();
  }

  private Path pull(String address) throws InterruptedException {
    return store.pull(address, Optional.empty(), (file, bytes, total) -> {});
  }

  private void listing(String... files) {
    hub.on(
        "/api/models/o/r",
        text(
            Stream.of(files)
                .map(f ->
                    "{\"rfilename\":\"%s\",\"size\":10000,\"lfs\":{\"sha256\":\"%s\",\"size\":10000}}"
                        .formatted(f, DownloadTest.sha256(CONTENT)))
                .collect(Collectors.joining(",", "{\"siblings\":[", "]}"))));
    for (String file : files) {
      hub.on("/o/r/resolve/main/" + file, file(CONTENT, "\"v\""));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r, only.gguf, README.md only.gguf",
    "hf:o/r, m-Q4_K_M.gguf, m-Q8_0.gguf m-Q4_0.gguf m-Q4_K_M.gguf mmproj-Q4_K_M.gguf",
    "hf:o/r, m-q4_0.gguf, m-q8_0.gguf m-q4_0.gguf",
    "hf:o/r, m-F16.gguf, m-F16.gguf m-Q4_K_M-00001-of-00002.gguf m-Q4_K_M-00002-of-00002.gguf",
    "hf:o/r:q5_k, sub/m-Q5_K_M.gguf, m-Q8_0.gguf sub/m-Q5_K_M.gguf",
    "hf:o/r:m.gguf, m.gguf, m.gguf big-m.gguf"
  })
  void theModelThatIsMeantIsFetched(String address, String chosen, String files) throws Exception {
    listing(files.split(" "));
    assertThat(pull(address))
        .isEqualTo(folder.resolve("hf/o/r").resolve(chosen))
        .hasBinaryContent(CONTENT);
    assertThat(store.list()).extracting(StoredModel::name).containsExactly("hf:o/r:" + chosen);
    assertThat(store.find(address)).isPresent();
    assertThat(store.find(Path.of(chosen).getFileName().toString())).isPresent();
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r, several files could be meant, a-Q6_K.gguf b-Q6_K.gguf",
    "hf:o/r:Q6, several files of that name, a-Q6_K.gguf b-Q6_K.gguf",
    "hf:o/r:Q2, no GGUF file of that name, a-Q6_K.gguf b-Q6_K.gguf",
    "hf:o/r, holds neither a GGUF file in one piece nor, a-Q6_K.bin b-Q6_K.bin"
  })
  void whatCouldBeMeantIsListed(String address, String problem, String files) {
    listing(files.split(" "));
    assertThatThrownBy(() -> pull(address))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining(problem)
        .hasMessageContaining(files.replace(" ", "\n  "));
  }

  @Test
  void aSafetensorsModelIsThereWhenAllOfItIs() throws Exception {
    listing(
        "config.json",
        "tokenizer.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "original/model.safetensors",
        "pytorch_model.bin");
    hub.on("/o/r/resolve/main/model-00002-of-00002.safetensors", status(500));
    assertThatThrownBy(() -> pull("hf:o/r")).isInstanceOf(DownloadException.class);
    assertThat(store.list()).isEmpty();
    hub.on("/o/r/resolve/main/model-00002-of-00002.safetensors", file(CONTENT, "\"v\""));
    Path model = pull("hf:o/r");
    assertThat(model).isEqualTo(folder.resolve("hf/o/r/safetensors"));
    try (Stream<Path> files = Files.list(model)) {
      assertThat(files).hasSize(5);
    }
    assertThat(hub.requests("/o/r/resolve/main/config.json")).hasSize(1);
    StoredModel stored = store.find("hf:o/r").orElseThrow();
    assertThat(stored.bytes()).isEqualTo(50_000);
    store.remove("hf:o/r");
    assertThat(store.list()).isEmpty();
    assertThat(model).doesNotExist();
  }

  @Test
  void aModelIsRemoved() throws Exception {
    hub.on("/x/m.gguf", file(CONTENT, "\"v\""));
    Path path = pull(hub.uri("/x/m.gguf?download=true").toString());
    assertThat(store.list())
        .extracting(StoredModel::name)
        .containsExactly("127.0.0.1:" + hub.uri("").getPort() + "/x/m.gguf");
    assertThat(store.remove("m.gguf").path()).isEqualTo(path);
    assertThat(path).doesNotExist();
    assertThatThrownBy(() -> store.remove("m.gguf"))
        .hasMessageContaining("There is no model 'm.gguf'");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "{\"siblings\":7}",
        "{\"siblings\":[{}]}",
        "{\"siblings\":[{\"rfilename\":{}}]}",
        "not json",
        "",
        "null",
        "{\"siblings\":[{\"rfilename\":\"a.gguf\",\"lfs\":{\"sha256\":[]}}]}"
      })
  void aListThatIsNoneIsRefused(String json) {
    hub.on("/api/models/o/r", text(json));
    assertThatThrownBy(() -> pull("hf:o/r"))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("no list of files");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"../../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf", "a\\\\evil.gguf"})
  void aFileStaysInTheStore(String name) {
    hub.on("/api/models/o/r", text("{\"siblings\":[{\"rfilename\":\"" + name + "\"}]}"));
    assertThatThrownBy(() -> pull("hf:o/r"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("cannot keep a file named");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "hf:repo",
        "hf:../x",
        "hf:o/r:../../x.gguf",
        "https://host",
        "ftp://h/m",
        "http://h/../m",
        ""
      })
  void whatIsNoAddressIsRefused(String text) {
    assertThatThrownBy(() -> ModelAddress.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void theEnvironmentIsHonoured() {
    StoreSettings settings =
        StoreSettings.from(
            Map.of(
                "HF_ENDPOINT", "https://hub.example/x/", "HF_TOKEN", " t ", "XDG_DATA_HOME", "/d"),
            Path.of("/home/u"));
    assertThat(settings.endpoint()).isEqualTo(URI.create("https://hub.example/x"));
    assertThat(settings.token()).contains("t");
    assertThat(settings.toString()).doesNotContain("t ").contains("token=set");
    assertThat(settings.directory()).isEqualTo(Path.of("/d/knapsack/models"));
    assertThat(StoreSettings.from(Map.of(), Path.of("/home/u")).directory())
        .isEqualTo(Path.of("/home/u/.local/share/knapsack/models"));
    assertThatThrownBy(() -> StoreSettings.from(Map.of("HF_ENDPOINT", "nowhere"), Path.of("/")))
        .hasMessageContaining("HF_ENDPOINT must be an address");
  }
}
