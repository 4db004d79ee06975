package dev.knapsack.serve;

import dev.knapsack.memory.Budget;
import dev.knapsack.serve.http.Refusal;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The models that a server has, in the order in which they were named.
 *
 * @param all at least one; names differ
 */
public record ServedModels(List<Served> all) {
  public ServedModels {
    all = List.copyOf(all);
    if (all.isEmpty() || all.stream().map(Served::name).distinct().count() < all.size()) {
      throw new IllegalArgumentException(
          "A server needs one model or more, each by a name of its own; these are: "
              + all.stream().map(Served::name).collect(Collectors.joining(", ")));
    }
  }

  /** The budget that they share. */
  public Budget budget() {
    return all.getFirst().budget();
  }

  /** Those that write. */
  public List<ServedModel> writers() {
    return of(ServedModel.class).toList();
  }

  /** Those that read and write nothing. */
  public List<ServedEncoder> encoders() {
    return of(ServedEncoder.class).toList();
  }

  private <T extends Served> Stream<T> of(Class<T> kind) {
    return all.stream().filter(kind::isInstance).map(kind::cast);
  }

  public Optional<Served> find(String name) {
    return all.stream().filter(m -> m.name().equals(name)).findFirst();
  }

  /**
   * The model that a request names, of whichever kind; the first one if it names none.
   *
   * @throws Refusal if there is none of this name
   */
  public Served any(Optional<String> name) {
    return name.isEmpty()
        ? all.getFirst()
        : find(name.get())
            .orElseThrow(() ->
                Refusal.of(
                    Refusal.Kind.NOT_FOUND,
                    "model_not_found",
                    "There is no model '%s' here; there is %s."
                        .formatted(name.get(), names(all.stream()))));
  }

  private static String names(Stream<? extends Served> models) {
    return models.map(m -> "'" + m.name() + "'").collect(Collectors.joining(", "));
  }

  /**
   * The model that writes that a request names; the first one of those if it names none.
   *
   * @throws Refusal if there is none of this name, or it writes nothing
   */
  public ServedModel named(Optional<String> name) {
    return of(ServedModel.class, Served.Kind.CHAT, name);
  }

  /** The embedding model that a request names, likewise. */
  public ServedEmbedder embedder(Optional<String> name) {
    return of(ServedEmbedder.class, Served.Kind.EMBEDDING, name);
  }

  /** The reranker that a request names, likewise. */
  public ServedReranker reranker(Optional<String> name) {
    return of(ServedReranker.class, Served.Kind.RERANK, name);
  }

  private <T extends Served> T of(Class<T> type, Served.Kind kind, Optional<String> name) {
    Optional<T> first = of(type).findFirst();
    if (name.isEmpty() && first.isPresent()) {
      return first.get();
    }
    Served model = any(name);
    if (type.isInstance(model)) {
      return type.cast(model);
    }
    throw Refusal.field(
        "model",
        "'%s' is %s: %s. %s"
            .formatted(
                model.name(),
                model.kind().is(),
                model.kind().askedBy(),
                first.isEmpty()
                    ? "There is none here that is %s.".formatted(kind.is())
                    : "What is %s here: %s.".formatted(kind.is(), names(of(type)))));
  }
}
