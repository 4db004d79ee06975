package dev.knapsack.serve.batch;

import dev.knapsack.serve.FileFolder;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.Refusal;
import dev.knapsack.serve.http.Routes;
import java.util.Optional;

/** The paths of files and batches, where a server has a folder for them. */
public final class Offline implements AutoCloseable {
  private static final String[] PATHS = {"/v1/files", "/v1/batches"};

  private final Optional<BatchesApi> batches;

  private Offline(Optional<BatchesApi> batches) {
    this.batches = batches;
  }

  /** Adds them; without a folder all are refused, and the refusal says so. */
  public static Offline add(
      Routes routes, ErrorForm errors, ServedModels models, Optional<FileFolder> folder) {
    if (folder.isEmpty()) {
      for (String path : PATHS) {
        for (String method : new String[] {"GET", "POST"}) {
          routes.add(method, path, errors, _ -> refuse());
        }
        routes.add("GET", path + "/{id}", errors, _ -> refuse());
      }
      return new Offline(Optional.empty());
    }
    FileStore store = new FileStore(folder.get());
    FilesApi files = new FilesApi(store);
    BatchesApi batches = new BatchesApi(store, models);
    routes
        .add("POST", "/v1/files", errors, files::upload)
        .add("GET", "/v1/files", errors, files::list)
        .add("GET", "/v1/files/{id}", errors, files::get)
        .add("GET", "/v1/files/{id}/content", errors, files::content)
        .add("DELETE", "/v1/files/{id}", errors, files::delete)
        .add("POST", "/v1/batches", errors, batches::create)
        .add("GET", "/v1/batches", errors, batches::list)
        .add("GET", "/v1/batches/{id}", errors, batches::get)
        .add("POST", "/v1/batches/{id}/cancel", errors, batches::cancel);
    return new Offline(Optional.of(batches));
  }

  private static void refuse() {
    throw Refusal.of(
        Refusal.Kind.NOT_FOUND,
        "files_off",
        "This server keeps no files; 'knapsack serve --files DIR' does, and answers batches.");
  }

  @Override
  public void close() {
    batches.ifPresent(BatchesApi::close);
  }
}
