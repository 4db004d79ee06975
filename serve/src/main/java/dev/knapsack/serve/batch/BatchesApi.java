package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import dev.knapsack.serve.openai.Question;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * {@code /v1/batches}: files of requests that are answered one after another, behind everybody who
 * waits for an answer. A batch that was not at its end when the server ended goes on when it begins
 * again.
 */
public final class BatchesApi implements AutoCloseable {
  private static final long WINDOW_SECONDS = 24 * 3600;
  private static final Set<String> ENDED = Set.of("completed", "failed", "cancelled");

  private final FileStore store;
  private final ServedModels models;
  private final BlockingQueue<String> queue = new LinkedBlockingQueue<>();

  /** Descriptions of batches that have not ended, whose counts change. */
  private final Map<String, JsonObject> open = new ConcurrentHashMap<>();

  private final Thread runner;
  private volatile boolean closing;

  BatchesApi(FileStore store, ServedModels models) {
    this.store = store;
    this.models = models;
    for (JsonObject batch : store.unended(ENDED)) {
      open.put(id(batch), batch);
      queue.add(id(batch));
    }
    this.runner = Thread.ofVirtual().name("knapsack-batches").start(this::runAll);
  }

  private static String id(JsonObject batch) {
    return batch.get("id").getAsString();
  }

  /** {@code POST /v1/batches}. */
  public void create(Exchange exchange) {
    Fields body = exchange.fields();
    String tenant = exchange.receipt().tenant();
    String input = body.needed("input_file_id");
    if (store.find(tenant, input).isEmpty()) {
      throw body.refusal("input_file_id", "is '%s', and there is no such file".formatted(input));
    }
    String endpoint = body.oneOf("endpoint", body.needed("endpoint"), Set.copyOf(Question.paths()));
    long now = Instant.now().getEpochSecond();
    JsonObject batch =
        Json.object(
            "id", Ids.next("batch_"),
            "object", "batch",
            "endpoint", endpoint,
            "input_file_id", input,
            "completion_window", body.text("completion_window", "24h"),
            "status", "validating",
            "errors", Json.nothing(),
            "output_file_id", Json.nothing(),
            "error_file_id", Json.nothing(),
            "knapsack_output", FileStore.newId(),
            "knapsack_errors", FileStore.newId(),
            "created_at", now,
            "expires_at", now + WINDOW_SECONDS,
            "request_counts", counts(new Batch.Counts(0, 0, 0)),
            "metadata", body.object("metadata").map(Fields::json).orElseGet(JsonObject::new));
    store.describe(tenant, batch);
    open.put(id(batch), batch);
    queue.add(id(batch));
    exchange.json(200, shown(batch));
  }

  private static JsonObject counts(Batch.Counts counts) {
    return Json.object(
        "total", counts.total(), "completed", counts.completed(), "failed", counts.failed());
  }

  private static JsonObject shown(JsonObject batch) {
    synchronized (batch) {
      JsonObject shown = FileStore.shown(batch);
      shown.remove("knapsack_output");
      shown.remove("knapsack_errors");
      return shown;
    }
  }

  /** {@code GET /v1/batches/{id}}. */
  public void get(Exchange exchange) {
    exchange.json(200, shown(found(exchange)));
  }

  private JsonObject found(Exchange exchange) {
    String id = exchange.variable("id");
    JsonObject described =
        store
            .find(exchange.receipt().tenant(), id)
            .filter(d -> d.get("object").getAsString().equals("batch"))
            .orElseThrow(() ->
                Refusal.of(
                    Refusal.Kind.NOT_FOUND,
                    "batch_not_found",
                    "There is no batch '%s'.".formatted(id)));
    return open.getOrDefault(id, described);
  }

  /** {@code GET /v1/batches}. */
  public void list(Exchange exchange) {
    List<JsonObject> batches =
        store.described(exchange.receipt().tenant(), "batch_").stream()
            .map(batch -> shown(open.getOrDefault(id(batch), batch)))
            .toList();
    exchange.json(200, Listing.of(exchange, batches));
  }

  /** {@code POST /v1/batches/{id}/cancel}. */
  public void cancel(Exchange exchange) {
    JsonObject batch = found(exchange);
    if (open.containsKey(id(batch))) {
      status(batch, "cancelling");
    }
    exchange.json(200, shown(batch));
  }

  private void status(JsonObject batch, String status) {
    synchronized (batch) {
      if (!ENDED.contains(batch.get("status").getAsString())) {
        batch.addProperty("status", status);
        batch.addProperty(status + "_at", Instant.now().getEpochSecond());
        store.describe(FileStore.tenant(batch), batch);
      }
    }
  }

  private static boolean isCancelled(JsonObject batch) {
    synchronized (batch) {
      return batch.get("status").getAsString().equals("cancelling");
    }
  }

  private void runAll() {
    try {
      while (!closing) {
        String id = queue.take();
        JsonObject batch = open.get(id);
        if (batch != null) {
          run(batch);
        }
      }
    } catch (InterruptedException e) {
      // The server ends; what is left goes on with the next.
    }
  }

  private void run(JsonObject batch) throws InterruptedException {
    try {
      if (!isCancelled(batch)) {
        status(batch, "in_progress");
      }
      Batch.Counts counts =
          batch(batch)
              .run(
                  models,
                  () -> closing || isCancelled(batch),
                  so -> {
                    synchronized (batch) {
                      batch.add("request_counts", counts(so));
                    }
                  });
      if (closing && counts.left() > 0) {
        return;
      }
      synchronized (batch) {
        batch.add("request_counts", counts(counts));
      }
      publish(batch, "knapsack_output", "output_file_id", "results");
      publish(batch, "knapsack_errors", "error_file_id", "errors");
      end(batch, counts.left() > 0 ? "cancelled" : "completed");
    } catch (BatchFileException e) {
      fail(batch, "invalid_line", e.line(), e.getMessage());
    } catch (IOException | RuntimeException e) {
      if (!closing) {
        Refusal refusal = Refusal.of(e, 1);
        fail(batch, refusal.code(), 0, refusal.getMessage());
      }
    }
  }

  private Batch batch(JsonObject batch) {
    return new Batch(
        store.data(batch.get("input_file_id").getAsString()),
        store.data(batch.get("knapsack_output").getAsString()),
        store.data(batch.get("knapsack_errors").getAsString()),
        FileStore.tenant(batch),
        false);
  }

  private void publish(JsonObject batch, String from, String as, String what) {
    String file = batch.get(from).getAsString();
    Path data = store.data(file);
    if (Files.exists(data)) {
      store.describeFile(
          FileStore.tenant(batch), file, id(batch) + "_" + what + ".jsonl", "batch_output");
      synchronized (batch) {
        batch.addProperty(as, file);
      }
    }
  }

  private void fail(JsonObject batch, String code, int line, String message) {
    JsonObject error =
        Json.object(
            "code",
            code,
            "message",
            message,
            "param",
            Json.nothing(),
            "line",
            line == 0 ? Json.nothing() : line);
    synchronized (batch) {
      batch.add("errors", Json.object("object", "list", "data", Json.array(error)));
    }
    end(batch, "failed");
  }

  private void end(JsonObject batch, String status) {
    status(batch, status);
    open.remove(id(batch));
  }

  /** Ends what is under way, to go on another time. */
  @Override
  public void close() {
    closing = true;
    queue.add(""); // for a runner that waits
    try {
      runner.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
