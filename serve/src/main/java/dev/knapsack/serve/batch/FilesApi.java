package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Form;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.util.List;

/** {@code /v1/files}: files that clients upload for batches, and the results of those. */
public final class FilesApi {
  private final FileStore store;

  FilesApi(FileStore store) {
    this.store = store;
  }

  /** {@code POST /v1/files}: a form with a {@code file} and its {@code purpose}. */
  public void upload(Exchange exchange) {
    // What is sent in pieces says its length when it is here.
    store.checkRoom(exchange.header("Content-Length").map(Long::parseLong).orElse(0L));
    try (Form form = exchange.form(store.folder())) {
      String name =
          form.fileName("file")
              .orElseThrow(() -> Refusal.field("file", "'file' is missing; it must be a file."));
      String purpose = form.text("purpose").orElse("batch");
      store.checkRoom(form.length("file"));
      String id = FileStore.newId();
      form.write("file", store.data(id));
      exchange.json(
          200, FileStore.shown(store.describeFile(exchange.receipt().tenant(), id, name, purpose)));
    }
  }

  /** {@code GET /v1/files}. */
  public void list(Exchange exchange) {
    List<JsonObject> files =
        store.described(exchange.receipt().tenant(), "file-").stream()
            .filter(file ->
                exchange
                    .parameter("purpose")
                    .map(purpose -> purpose.equals(file.get("purpose").getAsString()))
                    .orElse(true))
            .toList();
    exchange.json(200, Listing.of(exchange, files));
  }

  /** {@code GET /v1/files/{id}}. */
  public void get(Exchange exchange) {
    exchange.json(200, FileStore.shown(found(exchange)));
  }

  private JsonObject found(Exchange exchange) {
    String id = exchange.variable("id");
    return store
        .find(exchange.receipt().tenant(), id)
        .orElseThrow(() ->
            Refusal.of(
                Refusal.Kind.NOT_FOUND, "file_not_found", "There is no file '%s'.".formatted(id)));
  }

  /** {@code GET /v1/files/{id}/content}. */
  public void content(Exchange exchange) {
    String id = found(exchange).get("id").getAsString();
    exchange.file("application/octet-stream", store.data(id));
  }

  /** {@code DELETE /v1/files/{id}}. */
  public void delete(Exchange exchange) {
    String id = found(exchange).get("id").getAsString();
    store.delete(id);
    exchange.json(200, Json.object("id", id, "object", "file", "deleted", true));
  }
}
