package dev.knapsack.serve.ollama;

import dev.knapsack.serve.Served;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Fields;
import java.util.Optional;
import java.util.stream.Stream;

/** Names of models, which have a tag in Ollama's API: {@value #LATEST} where none is said. */
final class ModelNames {
  private static final String LATEST = ":latest";

  private ModelNames() {}

  /** The name with a tag. */
  static String tagged(Served model) {
    return model.name().contains(":") ? model.name() : model.name() + LATEST;
  }

  /**
   * The name of the model that a body names, with its tag or without; as it is if there is none;
   * empty if it names none.
   */
  static Optional<String> named(ServedModels models, Fields body) {
    Optional<String> name =
        body.text("model").or(() -> body.text("name")).filter(n -> !n.isEmpty());
    return name.stream()
        .flatMap(n -> Stream.of(n, n + LATEST, without(n)))
        .filter(n -> models.find(n).isPresent())
        .findFirst()
        .or(() -> name);
  }

  private static String without(String name) {
    return name.endsWith(LATEST) ? name.substring(0, name.length() - LATEST.length()) : name;
  }
}
