package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code pull}, {@code list} and {@code rm} as typed, against a hub on this machine. */
class StoreCommandsTest {
  private static final String LISTING =
      """
      {"siblings": [{"rfilename": "README.md"}, {"rfilename": "stories-q4_0.gguf"}]}
      """;

  @TempDir Path home;
  private final Map<String, byte[]> served = new ConcurrentHashMap<>();
  private HttpServer server;
  private Shell shell;

  @BeforeEach
  void serve() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          try (exchange) {
            byte[] body = served.get(exchange.getRequestURI().getPath());
            if (body == null) {
              exchange.sendResponseHeaders(404, -1);
            } else {
              exchange.sendResponseHeaders(200, body.length);
              exchange.getResponseBody().write(body);
            }
          }
        });
    server.start();
    shell = new Shell(home).with("HF_ENDPOINT", address(""));
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private String address(String path) {
    return "http://127.0.0.1:" + server.getAddress().getPort() + path;
  }

  @Test
  void aModelFromTheHub() throws IOException {
    byte[] model = Files.readAllBytes(Shell.data("models/stories260K.gguf"));
    served.put("/api/models/someone/stories", LISTING.getBytes(UTF_8));
    served.put("/someone/stories/resolve/main/stories-q4_0.gguf", model);
    assertThat(shell.run("list").succeeded())
        .satisfies(empty -> {
          assertThat(empty.out()).isEmpty();
          assertThat(empty.err()).contains("No models in", "knapsack pull");
        });

    Path file = Path.of(shell.run("pull", "hf:someone/stories").succeeded().out().strip());
    assertThat(file).startsWith(home).hasBinaryContent(model);
    assertThat(shell.run("list").succeeded().out())
        .containsPattern(
            "hf:someone/stories:stories-q4_0\\.gguf +1\\.01 MiB  \\d{4}-\\d\\d-\\d\\d");

    served.clear(); // what is here is not fetched again
    String[] names = {"hf:someone/stories", "hf:someone/stories:Q4_0", "stories-q4_0.gguf"};
    for (String name : names) {
      Object[] line = {"run", name, "--raw", "-p", "", "--greedy", "-n", 2};
      assertThat(shell.run(line).succeeded().out()).isEqualTo("Once upon\n");
    }
    assertThat(shell.run("rm", "stories-q4_0.gguf").succeeded().err())
        .startsWith("removed hf:someone/stories:stories-q4_0.gguf");
    assertThat(file).doesNotExist();
    shell.run("rm", "stories-q4_0.gguf").failed(4, "no model 'stories-q4_0.gguf'", home.toString());
  }

  @Test
  void aFileFromTheWebWithItsChecksum() {
    byte[] begin = ("GGUF\3\0\0\0\1" + "\0".repeat(15)).getBytes(UTF_8);
    served.put("/stories.gguf", begin);
    String right = "d5a0f7e7ed4e2ca6e7bcd4d2c8ea6e4b8b0e4a76b3f0f54b8a64d4a1f0c9a2aa";
    shell
        .run("pull", address("/stories.gguf"), "--sha256", right)
        .failed(5, address("/stories.gguf"), "SHA-256");
    assertThat(shell.run("list").out()).isEmpty();
    shell.run("pull", address("/stories.gguf"), "--sha256", "d5a0").failed(2, "'d5a0'");
  }

  @Test
  void aPageIsNoModel() {
    served.put("/stories.gguf", "<!DOCTYPE html><title>Soon back</title>".getBytes(UTF_8));
    shell.run("pull", address("/stories.gguf")).failed(5, "a web page came", "<!DOCTYPE html>");
    assertThat(shell.run("list").out()).isEmpty();
  }

  @Test
  void whatCannotBeFetched() {
    shell.run("pull", "hf:someone/else").failed(5, address("/api/models/someone/else"), "404");
    shell.run("run", "hf:someone/else", "-p", "x").failed(5, "someone/else");
    shell.run("pull", "someone").failed(2, "'someone'", "hf:");
    new Shell(home)
        .with("HF_ENDPOINT", "nowhere")
        .run("pull", "hf:someone/else")
        .failed(2, "HF_ENDPOINT", "'nowhere'");
  }
}
