package dev.knapsack.file;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A server on this machine that serves files with ranges, and misbehaves on request. */
final class FakeHub implements AutoCloseable {
  private static final Pattern RANGE = Pattern.compile("bytes=(\\d+)-");

  /** What the server does with one request. */
  interface Answer {
    void to(HttpExchange exchange) throws IOException;
  }

  /** What was asked for: the path and the headers that matter. */
  record Request(String path, String range, String ifRange, String authorization) {}

  /** A connection breaks when this is open: once the other end has received something. */
  final CountDownLatch received = new CountDownLatch(1);

  final List<Request> requests = new CopyOnWriteArrayList<>();
  private final HttpServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final Map<String, Deque<Answer>> answers = new ConcurrentHashMap<>();

  FakeHub() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + path);
  }

  /** The answers to the first, second, … request of a path; the last one stays. */
  FakeHub on(String path, Answer... sequence) {
    answers.put(path, new ArrayDeque<>(List.of(sequence)));
    return this;
  }

  /** The answer to the next request of a path. */
  Answer answer(String path) {
    return answers.get(path).element();
  }

  List<Request> requests(String path) {
    return requests.stream().filter(r -> r.path.equals(path)).toList();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getRawPath();
      requests.add(
          new Request(
              path,
              exchange.getRequestHeaders().getFirst("Range"),
              exchange.getRequestHeaders().getFirst("If-Range"),
              exchange.getRequestHeaders().getFirst("Authorization")));
      String query = exchange.getRequestURI().getRawQuery();
      Deque<Answer> sequence = answers.getOrDefault(path + "?" + query, answers.get(path));
      if (sequence == null) {
        exchange.sendResponseHeaders(404, -1);
      } else {
        (sequence.size() > 1 ? sequence.poll() : sequence.element()).to(exchange);
      }
    } catch (IOException gone) {
      // The other end hung up, as some tests want it to.
    }
  }

  /** A file, whole or from where the request wants it if the version is the same. */
  static Answer file(byte[] content, String etag) {
    return file(content, etag, content.length, true, new CountDownLatch(0));
  }

  /** The same, but the connection breaks after {@code most} bytes of the answer. */
  Answer broken(byte[] content, String etag, int most) {
    return file(content, etag, most, true, received);
  }

  /** The same, from a server that ignores ranges. */
  Answer withoutRanges(byte[] content, String etag, int most) {
    return file(content, etag, most, false, received);
  }

  private static Answer file(
      byte[] content, String etag, int most, boolean ranges, CountDownLatch breaks) {
    return exchange -> {
      String range = ranges ? exchange.getRequestHeaders().getFirst("Range") : null;
      String version = exchange.getRequestHeaders().getFirst("If-Range");
      int from = 0;
      exchange.getResponseHeaders().set("ETag", etag);
      if (range != null && (version == null || version.equals(etag))) {
        Matcher matcher = RANGE.matcher(range);
        if (matcher.matches()) {
          from = Integer.parseInt(matcher.group(1));
        }
        if (from >= content.length) {
          exchange.getResponseHeaders().set("Content-Range", "bytes */" + content.length);
          exchange.sendResponseHeaders(416, -1);
          return;
        }
        exchange
            .getResponseHeaders()
            .set(
                "Content-Range",
                "bytes %d-%d/%d".formatted(from, content.length - 1, content.length));
        exchange.sendResponseHeaders(206, content.length - from);
      } else {
        exchange.sendResponseHeaders(200, content.length);
      }
      int to = Math.min(content.length, from + most);
      exchange.getResponseBody().write(Arrays.copyOfRange(content, from, to));
      exchange.getResponseBody().flush();
      if (to < content.length) {
        await(breaks);
      }
    };
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      if (!latch.await(20, TimeUnit.SECONDS)) {
        throw new IOException("nothing was received");
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  static Answer text(String body) {
    return file(body.getBytes(StandardCharsets.UTF_8), "\"text\"");
  }

  static Answer status(int status) {
    return exchange -> exchange.sendResponseHeaders(status, -1);
  }

  /** A redirect, with the SHA-256 that the hub states of large files. */
  static Answer redirect(URI to, String linkedEtag) {
    return exchange -> {
      exchange.getResponseHeaders().set("Location", to.toString());
      if (!linkedEtag.isEmpty()) {
        exchange.getResponseHeaders().set("X-Linked-Etag", "\"" + linkedEtag + "\"");
      }
      exchange.sendResponseHeaders(302, -1);
    };
  }

  @Override
  public void close() {
    server.stop(0);
    threads.close();
  }
}
