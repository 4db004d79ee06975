package dev.knapsack.file;

import static dev.knapsack.file.FakeHub.file;
import static dev.knapsack.file.FakeHub.status;
import static dev.knapsack.file.FakeHub.text;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
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
  private static final byte[] CONTENT = DownloadTest.model(1, 10_000);
  private static final Optional<String> SHA256 = Optional.of(DownloadTest.sha256(CONTENT));

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
                        .formatted(f, DownloadTest.sha256(content(f))))
                .collect(Collectors.joining(",", "{\"siblings\":[", "]}"))));
    for (String file : files) {
      hub.on("/o/r/resolve/main/" + file, file(content(file), "\"v\""));
    }
  }

  /** 10,000 bytes that are what a file of this name should be. */
  private static byte[] content(String file) {
    if (file.endsWith(".gguf")) {
      return CONTENT;
    }
    byte[] bytes = new byte[10_000];
    bytes[file.endsWith(".safetensors") ? 8 : 0] = '{';
    return bytes;
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r, only.gguf, README.md only.gguf",
    "hf:o/r, m-Q4_K_M.gguf, m-Q8_0.gguf m-Q4_0.gguf m-Q4_K_M.gguf mmproj-Q4_K_M.gguf",
    "hf:o/r:q5_k_m, sub/m-Q5_K_M.gguf, m-Q8_0.gguf sub/m-Q5_K_M.gguf",
    "hf:o/r:m-Q8_0.gguf, sub/m-Q8_0.gguf, m.gguf sub/m-Q8_0.gguf",
    "hf:o/r:Q4_K_XL, m-Q4_K_XL.gguf, m-UD-Q4_K_XL.gguf m-Q4_K_XL.gguf"
  })
  void theModelThatIsMeantIsFetched(String address, String chosen, String files) throws Exception {
    listing(files.split(" "));
    assertThat(pull(address))
        .isEqualTo(folder.resolve("hf/o/r").resolve(chosen))
        .hasBinaryContent(CONTENT);
    assertThat(store.list()).extracting(StoredModel::name).containsExactly("hf:o/r:" + chosen);
    assertThat(pull(address)).isEqualTo(folder.resolve("hf/o/r").resolve(chosen));
    assertThat(store.find(Path.of(chosen).getFileName().toString())).isPresent();
    assertThat(hub.requests("/o/r/resolve/main/" + chosen)).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource({
    "Q6_K_L, Q6_K",
    "BF16, F16",
    "Q4_0_4_4, Q4_0",
    "UD-Q4_K_XL, Q4_K_XL",
    "IQ4_XS, Q4_XS",
    "Q8_0-f16, f16"
  })
  void whatIsHereIsNotTakenForAnother(String here, String wanted) throws IOException {
    Path repository = Files.createDirectories(folder.resolve("hf/o/r"));
    Files.write(repository.resolve("m-%s.gguf".formatted(here)), CONTENT);
    Files.write(repository.resolve("m-imatrix.gguf"), CONTENT);
    assertThat(store.find("hf:o/r:" + wanted)).isEmpty();
    assertThat(store.find("hf:o/r:" + here)).isPresent();
    assertThat(store.find("hf:o/r")).isPresent();
    assertThat(store.find("hf:o/r:m-%s.gguf".formatted(wanted))).isEmpty();
    assertThat(store.find("m-%s.gguf".formatted(here))).isPresent();
    Files.write(repository.resolve("m-%s.gguf".formatted(wanted)), CONTENT);
    assertThat(store.find("hf:o/r:" + wanted).orElseThrow().name())
        .isEqualTo("hf:o/r:m-%s.gguf".formatted(wanted));
    assertThatThrownBy(() -> store.find("hf:o/r"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(" or ");
  }

  @Test
  void allPartsOfAModelAreOne() throws Exception {
    String name = "Q8_0/m-Q8_0-0000%d-of-00003.gguf";
    listing(name.formatted(3), name.formatted(1), name.formatted(2));
    hub.on("/o/r/resolve/main/" + name.formatted(2), status(404));
    assertThatThrownBy(() -> pull("hf:o/r")).isInstanceOf(DownloadException.class);
    assertThat(store.list()).as("a part is no model").isEmpty();
    hub.on("/o/r/resolve/main/" + name.formatted(2), file(CONTENT, "\"v\""));
    assertThat(pull("hf:o/r")).isEqualTo(folder.resolve("hf/o/r").resolve(name.formatted(1)));
    assertThat(store.list()).hasSize(1);
    StoredModel model = store.list().getFirst();
    assertThat(model.name()).isEqualTo("hf:o/r:" + name.formatted(1));
    assertThat(model.bytes()).isEqualTo(30_000);
    for (String meant :
        List.of(
            "hf:o/r", "hf:o/r:Q8_0", "hf:o/r:" + name.formatted(2), "m-Q8_0-00003-of-00003.gguf")) {
      assertThat(store.find(meant)).contains(model);
    }
    assertThatThrownBy(() -> store.pull("hf:o/r", SHA256, (file, bytes, total) -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a model of 3 files");
    assertThat(store.remove("m-Q8_0-00002-of-00003.gguf")).isEqualTo(model);
    assertThat(folder.resolve("hf/o/r/Q8_0")).isEmptyDirectory();
  }

  @Test
  void partsComeFromTheWebToo() throws Exception {
    for (int i = 1; i <= 2; i++) {
      hub.on("/x/m-0000%d-of-00002.gguf".formatted(i), file(CONTENT, "\"v\""));
    }
    Path path = pull(hub.uri("/x/m-00002-of-00002.gguf?v=1").toString());
    assertThat(path).hasFileName("m-00001-of-00002.gguf{v=1}");
    assertThat(store.list()).hasSize(1).first().extracting(StoredModel::bytes).isEqualTo(20_000L);
    assertThat(store.find(hub.uri("/x/m-00002-of-00002.gguf?v=1").toString())).isPresent();
    assertThat(store.find(hub.uri("/x/m-00002-of-00002.gguf").toString())).isEmpty();
    assertThat(store.find("m-00002-of-00002.gguf")).isPresent();
  }

  @Test
  void aSafetensorsModelIsThereWhenAllOfItIs() throws Exception {
    listing(
        "config.json",
        "tokenizer.json",
        "chat_template.json",
        "additional_chat_templates/tools.jinja",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "original/model.safetensors",
        "pytorch_model.bin");
    hub.on("/o/r/resolve/main/model-00002-of-00002.safetensors", status(500));
    assertThatThrownBy(() -> pull("hf:o/r")).isInstanceOf(DownloadException.class);
    assertThat(store.list()).isEmpty();
    hub.on(
        "/o/r/resolve/main/model-00002-of-00002.safetensors",
        file(content(".safetensors"), "\"v\""));
    Path model = pull("hf:o/r");
    assertThatThrownBy(() -> store.pull("hf:o/r", SHA256, (file, bytes, total) -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a model of 7 files");
    assertThatThrownBy(() -> pull(hub.uri("/o/r/resolve/main/model.safetensors").toString()))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("only a GGUF file is a model by itself");
    assertThat(model).isEqualTo(folder.resolve("hf/o/r/safetensors"));
    try (Stream<Path> files = Files.list(model)) {
      assertThat(files).hasSize(7);
    }
    assertThat(hub.requests("/o/r/resolve/main/config.json")).hasSize(1);
    StoredModel stored = store.find("hf:o/r").orElseThrow();
    assertThat(stored.bytes()).isEqualTo(70_000);
    store.remove("hf:o/r");
    assertThat(store.list()).isEmpty();
    assertThat(model).doesNotExist();
  }

  @Test
  void aModelIsRemoved() throws Exception {
    hub.on("/x_12/m.gguf", file(CONTENT, "\"v\""));
    Path path = pull(hub.uri("/x_12/m.gguf").toString());
    assertThat(store.list())
        .extracting(StoredModel::name)
        .containsExactly("127.0.0.1:" + hub.uri("").getPort() + "/x_12/m.gguf");
    assertThat(store.remove("m.gguf").path()).isEqualTo(path);
    assertThat(path).doesNotExist();
    assertThatThrownBy(() -> store.remove("m.gguf"))
        .isInstanceOf(NoSuchModelException.class)
        .hasMessageContaining("There is no model 'm.gguf'");
  }

  @Test
  void aQueryIsPartOfAnAddress() throws Exception {
    byte[] second = DownloadTest.model(2, 10_000);
    hub.on("/get?id=1", file(CONTENT, "\"v\"")).on("/get?id=2", file(second, "\"v\""));
    String address = hub.uri("/get").toString();
    Path one = pull(address + "?id=1");
    assertThat(store.find(address)).isEmpty();
    assertThat(store.find(address + "?id=2")).isEmpty();
    assertThat(pull(address + "?id=2")).hasBinaryContent(second);
    assertThat(pull(address + "?id=1#top")).isEqualTo(one).hasBinaryContent(CONTENT);
    String name = address.substring("http://".length());
    assertThat(store.list())
        .extracting(StoredModel::name)
        .containsExactly(name + "?id=1", name + "?id=2");
    assertThatThrownBy(() -> store.find("get")).hasMessageContaining(" or ");
    assertThat(store.remove(name + "?id=1").path()).isEqualTo(one);
  }

  @ParameterizedTest
  @CsvSource({
    "http://h/m.gguf, h/m.gguf, h/m.gguf",
    "HTTPS://H:80/m.gguf, h_80/m.gguf, h:80/m.gguf",
    "http://h/a_80/m.gguf, h/a_80/m.gguf, h/a_80/m.gguf",
    "http://h/a%20b.gguf, h/a%20b.gguf, h/a%20b.gguf",
    "http://h/a%3Fb=1, h/a%3Fb=1, h/a%3Fb=1",
    "http://h/a?b=1, 'h/a{b=1}', h/a?b=1",
    "http://h/a?b=/c:d*, 'h/a{b=%2Fc%3Ad%2A}', h/a?b=%2Fc%3Ad%2A",
    "http://[::1]:8080/m, [%3A%3A1]_8080/m, [%3A%3A1]:8080/m"
  })
  void anAddressHasAPlaceOfItsOwn(String address, String path, String name) {
    Path place = ((ModelAddress.Web) ModelAddress.parse(address)).path();
    assertThat(place).isEqualTo(Path.of(path));
    assertThat(ModelAddress.Web.name(place)).isEqualTo(name);
  }

  @Test
  void aLongQueryFitsAName() {
    String signed = "http://h/m.gguf?signature=" + "a".repeat(4000);
    Path one = ((ModelAddress.Web) ModelAddress.parse(signed)).path();
    assertThat(one.getFileName().toString()).hasSizeLessThan(100);
    assertThat(((ModelAddress.Web) ModelAddress.parse(signed + "b")).path()).isNotEqualTo(one);
    assertThatThrownBy(() -> ModelAddress.parse("http://h/" + "ü".repeat(130)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("cannot keep a file named");
  }

  @Test
  void aChecksumHoldsForWhatIsHere() throws Exception {
    listing("m-Q8_0.gguf");
    pull("hf:o/r");
    assertThat(store.pull("hf:o/r", SHA256, (file, bytes, total) -> {})).exists();
    Optional<String> other = Optional.of("0".repeat(64));
    for (String address : List.of("hf:o/r", "hf:o/r:Q8_0", "hf:o/r:m-Q8_0.gguf")) {
      assertThatThrownBy(() -> store.pull(address, other, (file, bytes, total) -> {}))
          .isInstanceOf(DownloadException.class)
          .hasMessageContaining("whose SHA-256 is " + SHA256.get() + " and not 0000");
    }
    assertThatThrownBy(() -> store.pull("hf:o/r", Optional.of("ab"), (file, bytes, total) -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("64 hexadecimal digits");
  }

  @Test
  void aListThatIsRefusedForAWhileIsAskedForAgain() throws Exception {
    listing("m-Q8_0.gguf");
    FakeHub.Answer list = hub.answer("/api/models/o/r");
    hub.on(
        "/api/models/o/r",
        exchange -> {
          exchange.getResponseHeaders().set("Retry-After", "0");
          exchange.sendResponseHeaders(429, -1);
        },
        list);
    assertThat(pull("hf:o/r")).hasBinaryContent(CONTENT);
    hub.on("/api/models/o/r", status(503));
    assertThatThrownBy(() -> pull("hf:o/r:Q4_0"))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("the server answers 503; gave up after 2 attempts");
    hub.on("/api/models/o/r", hub.broken("{\"siblings\":[]}".getBytes(UTF_8), "\"v\"", 3), list);
    hub.received.countDown();
    assertThatThrownBy(() -> pull("hf:o/r:Q4_0")).hasMessageContaining("label");
  }

  @Test
  void oneFolderThatCannotBeReadHidesNoOther() throws Exception {
    listing("m-Q8_0.gguf");
    pull("hf:o/r");
    Files.createSymbolicLink(folder.resolve("hf/o/r/gone.gguf"), Path.of("nowhere"));
    Files.createSymbolicLink(folder.resolve("hf/loop"), folder);
    assertThat(store.list()).hasSize(1);
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
