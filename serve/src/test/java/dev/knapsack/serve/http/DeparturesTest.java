package dev.knapsack.serve.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.knapsack.serve.openai.OpenAiErrors;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DeparturesTest {
  private final Semaphore left = new Semaphore(0);
  private final Semaphore waits = new Semaphore(0);
  private final CountDownLatch looked = new CountDownLatch(1);

  private HttpListener listen() {
    OpenAiErrors errors = new OpenAiErrors();
    Routes routes =
        new Routes()
            .add("POST", "/answer", errors, this::answer)
            .add("GET", "/wait", errors, this::waitForGone);
    return new HttpListener(
        new HttpListener.Settings(
            "127.0.0.1", 0, 1 << 20, 8 << 10, 60, 100, Optional.empty(), "", Set.of()),
        routes,
        errors,
        _ -> () -> {},
        (_, _) -> {},
        _ -> {});
  }

  /** Answers, and then takes its time before it no longer watches. */
  private void answer(Exchange exchange) {
    try (Departures.Watch watch = exchange.watch(() -> {})) {
      exchange.json(200, new JsonObject());
      looked.await();
      assertThat(watch.spoiled()).isFalse();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private void waitForGone(Exchange exchange) {
    CountDownLatch gone = new CountDownLatch(1);
    try (Departures.Watch _ = exchange.watch(gone::countDown)) {
      waits.release();
      gone.await();
      left.release();
      exchange.json(200, new JsonObject());
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void send(Socket socket, String line) throws IOException {
    socket
        .getOutputStream()
        .write(
            (line + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                .getBytes(StandardCharsets.UTF_8));
  }

  private static String read(BufferedReader in) throws IOException {
    String status = in.readLine();
    for (String line = status; !line.isEmpty(); line = in.readLine()) {}
    assertThat(in.read()).isEqualTo('{');
    assertThat(in.read()).isEqualTo('}');
    return status;
  }

  @Test
  void leavesTheNextRequestOfAConnectionAlone() throws Exception {
    try (HttpListener listener = listen();
        Socket socket = new Socket("127.0.0.1", listener.port())) {
      BufferedReader in =
          new BufferedReader(
              new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
      send(socket, "POST /answer");
      assertThat(read(in)).contains("200");
      send(socket, "POST /answer");
      // That two have been seen to leave means that every connection was looked at meanwhile.
      for (int i = 0; i < 2; i++) {
        try (Socket other = new Socket("127.0.0.1", listener.port())) {
          send(other, "GET /wait");
          waits.acquire();
        }
        left.acquire();
      }
      looked.countDown();
      assertThat(read(in)).contains("200");
    }
  }
}
