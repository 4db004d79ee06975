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
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The official JavaScript clients, unmodified, against one server: each {@code .mjs} in {@code
 * src/test/clients} is a program that says what failed, and fails then.
 */
class ClientsTest {
  private static final Path ROOT = Path.of(System.getProperty("knapsack.root"), "serve");
  private static final Path SCRIPTS = ROOT.resolve("src/test/clients");
  private static final Path INSTALLED = ROOT.resolve("target/clients");

  private static TestServer server;
  private static HttpListener rehearsed;

  private record Ended(int code, String output) {}

  @BeforeAll
  static void install() throws IOException, InterruptedException {
    boolean there = System.getenv("CI") != null || runs("node", "--version") && runs("npm", "--version");
    assumeTrue(there, "no node and npm, which the clients need");
    Files.createDirectories(INSTALLED);
    for (Path file : files()) {
      Files.write(INSTALLED.resolve(file.getFileName()), Files.readAllBytes(file));
    }
    Ended installed = run(Map.of(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund");
    assertThat(installed.code()).as(installed.output()).isZero();
    server =
        new TestServer(
            UnaryOperator.identity(),
            s ->
                s.withKeys(
                    List.of(
                        ApiKey.of("free", "free-key"),
                        ApiKey.parse("limited limited-key requests=60"))));
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
        _ -> {},
        _ -> {});
  }

  @AfterAll
  static void close() {
    if (server != null) {
      rehearsed.close();
      server.close();
    }
  }

  private static List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(SCRIPTS)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  static List<String> clients() throws IOException {
    return files().stream()
        .map(file -> file.getFileName().toString())
        .filter(name -> name.endsWith(".mjs"))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("clients")
  void clientIsContent(String script) throws IOException, InterruptedException {
    Ended ended =
        run(
            Map.of(
                "KNAPSACK_URL", server.uri("").toString(),
                "KNAPSACK_KEY", "free-key",
                "KNAPSACK_LIMITED_KEY", "limited-key",
                "KNAPSACK_REHEARSED_URL", "http://127.0.0.1:" + rehearsed.port()),
            "node",
            script);
    assertThat(ended.code()).as(ended.output()).isZero();
    assertThat(ended.output()).contains(" ok");
  }

  private static boolean runs(String... command) throws InterruptedException {
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private static Ended run(Map<String, String> variables, String... command)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(INSTALLED.toFile()).redirectErrorStream(true);
    builder.environment().putAll(variables);
    Process process = builder.start();
    process.getOutputStream().close();
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Ended(process.waitFor(), output);
  }
}
