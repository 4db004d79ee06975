package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.knapsack.serve.anthropic.AnthropicErrors;
import dev.knapsack.serve.anthropic.RehearsedMessages;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.HttpListener;
import dev.knapsack.serve.http.Routes;
import dev.knapsack.serve.ollama.RehearsedChats;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Official JavaScript clients, as their packages are, against one server: each {@code .mjs} in
 * {@code src/test/clients} is a program that says what failed, and fails then.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class ClientsTest {
  private static final Path SCRIPTS =
      Path.of(System.getProperty("knapsack.root"), "serve/src/test/clients");
  private static final Path INSTALLED =
      Path.of(System.getProperty("knapsack.root"), "serve/target/clients");

  @TempDir static Path files;
  private static TestServer server;
  private static TestServer calling;
  private static HttpListener rehearsed;

  @BeforeAll
  static void open() throws Exception {
    install();
    server =
        TestServer.withEncoders(o ->
            o.withFiles(new FileFolder(files, 1 << 20))
                .withKeys(
                    List.of(
                        ApiKey.of("tests", "sk-tests"),
                        ApiKey.parse("single sk-single parallel=1"),
                        ApiKey.parse("limited sk-limited requests=60"))));
    calling =
        new TestServer(
            TestServer.calling(files.resolve("calling.gguf")),
            UnaryOperator.identity(),
            UnaryOperator.identity());
    rehearsed = rehearsed(new ServedModel("notes", server.model));
  }

  /** A server whose answers think and call tools. */
  private static HttpListener rehearsed(ServedModel model) {
    ErrorForm errors = new AnthropicErrors();
    return new HttpListener(
        ServerOptions.usual().withAddress("127.0.0.1", 0).http(),
        new Routes()
            .add("POST", "/v1/messages", errors, e -> RehearsedMessages.answer(e, model))
            .add("POST", "/api/chat", errors, e -> RehearsedChats.answer(e, model)),
        errors,
        _ -> () -> {},
        (_, _) -> {},
        _ -> {});
  }

  @AfterAll
  static void close() {
    if (server != null) {
      rehearsed.close();
      calling.close();
      server.close();
    }
  }

  /** Installs what the lock file says, anew only when it has changed. */
  private static void install() throws Exception {
    Files.createDirectories(INSTALLED);
    Path lock = INSTALLED.resolve("package-lock.json");
    Path wanted = SCRIPTS.resolve("package-lock.json");
    Path done = INSTALLED.resolve("installed");
    boolean same = Files.exists(done) && Files.exists(lock) && Files.mismatch(lock, wanted) < 0;
    copyScripts();
    if (!same) {
      Files.deleteIfExists(done);
      assumeTrue(isThere("npm"), "npm is not there; the clients of Node are not tried");
      Result result = run(List.of("npm", "ci", "--no-audit", "--no-fund"), Map.of());
      assumeTrue(
          result.code() == 0
              || !result.output().matches("(?s).*(ENOTFOUND|EAI_AGAIN|ECONNREFUSED).*"),
          "the packages cannot be fetched; the clients of Node are not tried");
      assertThat(result.code()).as(result.output()).isZero();
      Files.createFile(done);
    }
  }

  private static void copyScripts() throws IOException {
    try (Stream<Path> paths = Files.walk(SCRIPTS)) {
      for (Path path : paths.filter(Files::isRegularFile).toList()) {
        Path to = INSTALLED.resolve(SCRIPTS.relativize(path));
        Files.createDirectories(to.getParent());
        Files.write(to, Files.readAllBytes(path));
      }
    }
  }

  private static boolean isThere(String program) throws InterruptedException {
    try {
      return new ProcessBuilder(program, "--version").start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private record Result(int code, String output) {}

  private static Result run(List<String> command, Map<String, String> variables)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(INSTALLED.toFile()).redirectErrorStream(true);
    builder.environment().putAll(variables);
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Result(process.waitFor(), output);
  }

  static List<String> scripts() throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> paths = Files.list(SCRIPTS)) {
      paths
          .map(path -> path.getFileName().toString())
          .filter(name -> name.endsWith(".mjs"))
          .sorted()
          .forEach(names::add);
    }
    return names;
  }

  @ParameterizedTest
  @MethodSource("scripts")
  void isServed(String script) throws Exception {
    Result result =
        run(
            List.of("node_modules/.bin/node", script),
            Map.of(
                "KNAPSACK_URL",
                server.uri("").toString(),
                "KNAPSACK_REHEARSED_URL",
                "http://127.0.0.1:" + rehearsed.port(),
                "KNAPSACK_CALLING_URL",
                calling.uri("").toString(),
                "KNAPSACK_KEY",
                "sk-tests",
                "KNAPSACK_LIMITED_KEY",
                "sk-limited",
                "KNAPSACK_SINGLE_KEY",
                "sk-single",
                "KNAPSACK_END",
                String.valueOf(server.model.tokenizer().eos())));
    assertThat(result.code()).as(result.output()).isZero();
    System.out.println(result.output());
  }
}
