package dev.knapsack.cli;

import dev.knapsack.Embedder;
import dev.knapsack.Knapsack;
import dev.knapsack.Reranker;
import dev.knapsack.host.Host;
import dev.knapsack.serve.Served;
import dev.knapsack.serve.ServedEmbedder;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.ServedReranker;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Models by the names that requests call them, open in one budget. */
final class NamedModels implements AutoCloseable {
  private final List<Served> served = new ArrayList<>();
  private final Deque<Runnable> closing = new ArrayDeque<>();

  private NamedModels() {}

  /**
   * Opens models and prints their plans.
   *
   * @param models each as {@code run} takes it, with {@code NAME=} before it or by its file's name;
   *     without any the small one inside Knapsack
   */
  static NamedModels open(
      Environment environment, EngineOptions engine, List<String> models, PrintStream err)
      throws IOException, InterruptedException {
    Map<String, Path> paths = paths(environment, models);
    Host shared = engine.shared(paths.values());
    NamedModels named = new NamedModels();
    try {
      for (Map.Entry<String, Path> model : paths.entrySet()) {
        Served served =
            named.open(
                engine,
                model.getKey(),
                model.getValue(),
                shared,
                paths.size() == 1 ? "" : model.getKey());
        named.served.add(served);
        err.print(served.plan());
        err.println();
      }
      return named;
    } catch (IOException | RuntimeException | Error e) {
      named.close();
      throw e;
    }
  }

  private Served open(EngineOptions engine, String name, Path path, Host host, String share)
      throws IOException {
    return switch (EngineOptions.kind(path)) {
      case CHAT ->
          new ServedModel(name, closedWith(engine.open(path, host, share), Knapsack::close));
      case EMBEDDING ->
          new ServedEmbedder(
              name,
              closedWith(engine.openEncoder(path, host, share, Embedder::open), Embedder::close));
      case RERANK ->
          new ServedReranker(
              name,
              closedWith(engine.openEncoder(path, host, share, Reranker::open), Reranker::close));
    };
  }

  private <T> T closedWith(T model, Consumer<T> close) {
    closing.addFirst(() -> close.accept(model));
    return model;
  }

  private static Map<String, Path> paths(Environment environment, List<String> models)
      throws IOException, InterruptedException {
    if (models.isEmpty()) {
      return Map.of("knapsack-notes", EmbeddedModel.extract(environment.cache()));
    }
    Map<String, Path> paths = new LinkedHashMap<>();
    for (String model : models) {
      int cut = model.indexOf('=');
      String address = model.substring(cut + 1);
      Path path = ModelArgument.path(environment, address);
      String name = cut > 0 ? model.substring(0, cut) : name(path);
      if (paths.put(name, path) != null) {
        throw new IllegalArgumentException(
            "Two models have the name '%s'; give each its own, as in a=%s.".formatted(name, model));
      }
    }
    return paths;
  }

  private static String name(Path path) {
    String file = path.toAbsolutePath().normalize().getFileName().toString();
    return file.endsWith(".gguf") ? file.substring(0, file.length() - 5) : file;
  }

  ServedModels served() {
    return new ServedModels(served);
  }

  @Override
  public void close() {
    closing.forEach(Runnable::run);
  }
}
