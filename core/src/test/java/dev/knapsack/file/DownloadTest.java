package dev.knapsack.file;

import static dev.knapsack.file.FakeHub.file;
import static dev.knapsack.file.FakeHub.redirect;
import static dev.knapsack.file.FakeHub.status;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DownloadTest {
  private static final byte[] CONTENT = model(1, 3_000_000);
  private static final String V1 = "\"v1\"";

  @TempDir Path folder;
  private FakeHub hub;
  private ModelStore store;
  private final List<Long> progress = new ArrayList<>();

  @BeforeEach
  void start() throws IOException {
    hub = new FakeHub();
    store = new ModelStore(settings());
  }

  @AfterEach
  void stop() {
    hub.close();
  }

  private StoreSettings settings() {
    return new StoreSettings(
        folder, hub.uri(""), Optional.of("secret"), 3, Duration.ZERO, Duration.ofSeconds(20));
  }

  private Path pull(String address, Optional<String> sha256) throws InterruptedException {
    return store.pull(
        address,
        sha256,
        (file, bytes, total) -> {
          progress.add(bytes);
          if (bytes > 0) {
            hub.received.countDown();
          }
        });
  }

  private Path pull() throws InterruptedException {
    return pull(hub.uri("/m.gguf").toString(), Optional.of(sha256(CONTENT)));
  }

  @Test
  void aFileComesWhole() throws Exception {
    hub.on("/m.gguf", file(CONTENT, V1));
    Path path = pull();
    assertThat(path).hasBinaryContent(CONTENT);
    assertThat(progress).startsWith(0L).endsWith(3_000_000L).isSorted();
    assertThat(left(path)).containsExactly("m.gguf");
    assertThat(store.list()).hasSize(1).first().extracting(StoredModel::path).isEqualTo(path);
    pull();
    assertThat(hub.requests).as("what is here is not fetched again").hasSize(1);
  }

  @Test
  void aBrokenConnectionGoesOnWhereItStopped() throws Exception {
    hub.on(
        "/m.gguf",
        hub.broken(CONTENT, V1, 1_000_000),
        hub.broken(CONTENT, V1, 500_000),
        file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests.get(0).range()).isNull();
    assertThat(hub.requests.get(2).range()).matches("bytes=[1-9]\\d*-");
    assertThat(hub.requests.get(2).ifRange()).isEqualTo(V1);
  }

  @Test
  void aLaterRunGoesOnWhereTheFirstStopped() throws Exception {
    hub.on("/m.gguf", hub.broken(CONTENT, V1, 1_000_000), status(503));
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("the server answers 503; gave up after 3 attempts. Run it again");
    assertThat(store.list()).as("a part is no model").isEmpty();
    hub.on("/m.gguf", file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests.getLast().range()).matches("bytes=[1-9]\\d*-");
  }

  @Test
  void aPageInPlaceOfTheRestLosesNothing() throws Exception {
    FakeHub.Answer page =
        exchange -> {
          exchange.getResponseHeaders().set("Content-Type", "text/html; charset=utf-8");
          exchange.sendResponseHeaders(200, 6);
          exchange.getResponseBody().write("<html>".getBytes(StandardCharsets.UTF_8));
        };
    hub.on("/m.gguf", hub.broken(CONTENT, V1, 1_000_000), page, page, file(CONTENT, V1));
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("a web page in place of the rest; gave up after 3 attempts");
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests.getLast().range()).matches("bytes=[1-9]\\d*-");
  }

  @Test
  void aBreakAtTheSamePlaceEveryTimeEnds() {
    hub.on("/m.gguf", hub.withoutRanges(CONTENT, V1, 1_000_000));
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("the connection broke at byte")
        .hasMessageContaining("gave up after 3 attempts");
    assertThat(hub.requests).hasSize(3);
  }

  @Test
  void aServerThatIgnoresRangesStartsOver() throws Exception {
    hub.on(
        "/m.gguf", hub.broken(CONTENT, V1, 1_000_000), hub.withoutRanges(CONTENT, V1, 3_000_000));
    assertThat(pull()).hasBinaryContent(CONTENT);
  }

  @Test
  void anotherVersionStartsOver() throws Exception {
    byte[] other = model(2, 2_500_000);
    hub.on("/m.gguf", hub.broken(CONTENT, V1, 1_000_000), file(other, "\"v2\""));
    Path path = pull(hub.uri("/m.gguf").toString(), Optional.empty());
    assertThat(path).hasBinaryContent(other);
  }

  @Test
  void aPartLongerThanTheFileStartsOver() throws Exception {
    prepare(bytes(3, 4_000_000), V1);
    hub.on("/m.gguf", file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests.getFirst().range()).isEqualTo("bytes=4000000-");
  }

  @Test
  void aPartThatIsWholeIsTaken() throws Exception {
    prepare(CONTENT, V1);
    hub.on("/m.gguf", file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests).hasSize(1);
  }

  @Test
  void aDamagedPartIsFetchedAnew() throws Exception {
    prepare(bytes(3, 1_000_000), V1);
    hub.on("/m.gguf", file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests).hasSize(2);
  }

  @Test
  void aPartWithoutVersionIsNotTrusted() throws Exception {
    Path part = target().resolveSibling("m.gguf.part");
    Files.createDirectories(part.getParent());
    Files.write(part, Arrays.copyOf(CONTENT, 1000));
    hub.on("/m.gguf", file(CONTENT, V1));
    assertThat(pull()).hasBinaryContent(CONTENT);
    assertThat(hub.requests.getFirst().range()).isNull();
  }

  @Test
  void aWrongChecksumIsNoModel() throws Exception {
    hub.on("/m.gguf", file(model(2, 1000), V1));
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("damaged: its SHA-256 is " + sha256(model(2, 1000)))
        .hasMessageContaining(sha256(CONTENT));
    assertThat(store.list()).isEmpty();
    assertThat(target().resolveSibling("m.gguf.part")).doesNotExist();
  }

  @Test
  void whatIsNoModelIsNotKept() throws Exception {
    byte[] page = "<!DOCTYPE html><html>".getBytes(StandardCharsets.UTF_8);
    hub.on("/o/r/blob/main/m.gguf", file(page, V1), file(CONTENT, V1));
    String address = hub.uri("/o/r/blob/main/m.gguf").toString();
    assertThatThrownBy(() -> pull(address, Optional.empty()))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("a web page came, and no GGUF file")
        .hasMessageContaining("/resolve/ in place of /blob/");
    assertThat(store.list()).isEmpty();
    assertThat(pull(address, Optional.empty())).hasBinaryContent(CONTENT);
  }

  @ParameterizedTest
  @CsvSource({
    "7, 7",
    "100000, 100000",
    "0, 0",
    "'Sun, 29 Nov 2026 10:00:30 GMT', 30",
    "'Sun, 29 Nov 2026 09:00:00 GMT', 0",
    "soon, 0",
    "-5, 0",
    "99999999999999999999, 0"
  })
  void aServerSaysHowLongToWait(String header, long seconds) {
    ZonedDateTime now = ZonedDateTime.of(2026, 11, 29, 10, 0, 0, 0, ZoneOffset.UTC);
    assertThat(PassingFailure.retryAfter(header, now)).isEqualTo(Duration.ofSeconds(seconds));
    assertThat(PassingFailure.untilReset("\"api\";r=0;t=" + header))
        .isEqualTo(Duration.ofSeconds(header.matches("\\d{1,9}") ? seconds : 0));
  }

  @Test
  void waitsGrowAndAreBounded() {
    StoreSettings settings = StoreSettings.in(folder); // one second after the first failure
    Attempts attempts = new Attempts(settings, hub.uri("/"));
    assertThat(attempts.wait(1, Duration.ZERO)).isEqualTo(Duration.ofSeconds(1));
    assertThat(attempts.wait(4, Duration.ofSeconds(5))).isEqualTo(Duration.ofSeconds(8));
    assertThat(attempts.wait(1, Duration.ofSeconds(5))).isEqualTo(Duration.ofSeconds(5));
    assertThat(attempts.wait(1, Duration.ofDays(5))).isEqualTo(Duration.ofMinutes(1));
    assertThat(attempts.wait(100, Duration.ZERO)).isEqualTo(Duration.ofMinutes(1));
  }

  @Test
  void theTokenStaysWithItsHost() throws Exception {
    try (FakeHub elsewhere = new FakeHub()) {
      elsewhere.on("/cdn/m", elsewhere.broken(CONTENT, V1, 1_000_000), file(CONTENT, V1));
      hub.on("/m.gguf", redirect(hub.uri("/here"), sha256(CONTENT)));
      hub.on("/here", redirect(elsewhere.uri("/cdn/m"), ""));
      Path path =
          store.pull(
              hub.uri("/m.gguf").toString(),
              Optional.empty(),
              (file, bytes, total) -> {
                if (bytes > 0) {
                  elsewhere.received.countDown();
                }
              });
      assertThat(path).hasBinaryContent(CONTENT);
      assertThat(hub.requests)
          .isNotEmpty()
          .allMatch(r -> "Bearer secret".equals(r.authorization()));
      assertThat(elsewhere.requests).hasSize(2).allMatch(r -> r.authorization() == null);
      assertThat(elsewhere.requests.getLast().range()).matches("bytes=[1-9]\\d*-");
    }
  }

  @Test
  void theChecksumOfTheHubHoldsAfterARedirect() {
    hub.on("/m.gguf", redirect(hub.uri("/cdn"), sha256(bytes(9, 9)))).on("/cdn", file(CONTENT, V1));
    assertThatThrownBy(() -> pull(hub.uri("/m.gguf").toString(), Optional.empty()))
        .hasMessageContaining("damaged");
  }

  @Test
  void redirectsEnd() {
    hub.on("/m.gguf", redirect(hub.uri("/m.gguf"), ""));
    assertThatThrownBy(this::pull).hasMessageContaining("more than 10 redirects");
    hub.on(
        "/m.gguf",
        exchange -> {
          exchange.getResponseHeaders().set("Location", "file:///etc/passwd");
          exchange.sendResponseHeaders(302, -1);
        });
    assertThatThrownBy(this::pull).hasMessageContaining("which is not a safe https address");
  }

  @ParameterizedTest
  @CsvSource({
    "401, 'private and needs the token in HF_TOKEN'",
    "403, 'accept the model''s terms on its page'",
    "404, 'no such file; check the name'",
    "418, 'an answer that is not understood'"
  })
  void aRefusalSaysWhatToDo(int status, String advice) {
    hub.on("/m.gguf", status(status));
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("the server answers " + status)
        .hasMessageContaining(advice);
    assertThat(hub.requests).hasSize(1);
  }

  @Test
  void aFileThatNoDiskHoldsIsRefusedAtOnce() {
    hub.on(
        "/m.gguf",
        exchange -> {
          exchange.getResponseHeaders().set("ETag", V1);
          exchange.sendResponseHeaders(200, 1L << 60);
          exchange.getResponseBody().write(CONTENT, 0, 100);
          exchange.getResponseBody().flush();
        });
    assertThatThrownBy(this::pull)
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("needs 1,152,921,504,606,846,976 more bytes, and the disk of");
  }

  @Test
  void theSecondDownloadOfAFileWaitsAndTakesIt() throws Exception {
    hub.on("/m.gguf", file(CONTENT, V1));
    byte[] content = model(5, 1000);
    FutureTask<Path> second =
        new FutureTask<>(() -> pull(hub.uri("/m.gguf").toString(), Optional.empty()));
    try (PartFile first = PartFile.open(target())) {
      startAndWait(second);
      first.append(content, content.length);
      first.finish();
    }
    assertThat(second.get()).hasBinaryContent(content);
    assertThatThrownBy(this::pull).hasMessageContaining("and not " + sha256(CONTENT));
    assertThat(hub.requests).isEmpty();
    assertThat(left(target())).containsExactly("m.gguf");
  }

  @Test
  void whoWaitedForAPartLeavesTheFinishedFileAlone() throws Exception {
    FutureTask<Long> second =
        new FutureTask<>(() -> {
          try (PartFile part = PartFile.open(target())) {
            long found = part.length();
            part.restart(Optional.empty());
            return found;
          }
        });
    try (PartFile first = PartFile.open(target())) {
      startAndWait(second);
      first.append(CONTENT, CONTENT.length);
      first.finish();
    }
    assertThat(second.get()).isZero();
    assertThat(target()).hasBinaryContent(CONTENT);
    assertThat(left(target())).containsExactly("m.gguf");
  }

  /** Starts a task that waits for a lock, and returns when it does. */
  private static void startAndWait(FutureTask<?> task) {
    Thread thread = Thread.ofPlatform().start(task);
    while (thread.getState() != Thread.State.TIMED_WAITING
        && thread.getState() != Thread.State.TERMINATED) {
      Thread.onSpinWait();
    }
  }

  @Test
  void anInterruptEndsTheWait() throws Exception {
    try (PartFile first = PartFile.open(target())) {
      assertThat(first.length()).isZero();
      Thread.currentThread().interrupt();
      assertThatThrownBy(this::pull).isInstanceOf(InterruptedException.class);
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  private void prepare(byte[] content, String version) throws IOException {
    Files.createDirectories(target().getParent());
    Files.write(target().resolveSibling("m.gguf.part"), content);
    Files.writeString(target().resolveSibling("m.gguf.version.part"), version);
  }

  private Path target() {
    return folder.resolve("web/127.0.0.1_" + hub.uri("/").getPort() + "/m.gguf");
  }

  private static List<String> left(Path path) throws IOException {
    try (var files = Files.list(path.getParent())) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  /** What begins as a GGUF model does. */
  static byte[] model(long seed, int count) {
    byte[] bytes = bytes(seed, count);
    byte[] header =
        GgufBytes.header(1, 1).string("general.architecture").i32(8).string("x").bytes();
    System.arraycopy(header, 0, bytes, 0, header.length);
    return bytes;
  }

  static byte[] bytes(long seed, int count) {
    byte[] bytes = new byte[count];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
