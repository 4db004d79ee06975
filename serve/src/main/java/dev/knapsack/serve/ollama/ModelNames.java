package dev.knapsack.serve.ollama;

import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Fields;
import java.util.Optional;
import java.util.stream.Stream;

/** Names of models, which have a tag in Ollama's API: {@value #LATEST} where none is said. */
final class ModelNames {
  private static final String LATEST = ":latest";

  private ModelNames() {}

  /** The name with a tag. */
  static String tagged(ServedModel model) {
    return model.name().contains(":") ? model.name() : model.name() + LATEST;
  }

  /**
   * The model that a body names, with its tag or without; the first one if it names none.
   *
   * @throws dev.knapsack.serve.http.Refusal if there is none of this name
   */
  static ServedModel find(ServedModels models, Fields body) {
    Optional<String> name =
        body.text("model").or(() -> body.text("name")).filter(n -> !n.isEmpty());
    return name.stream()
        .flatMap(n -> Stream.of(n, n + LATEST, without(n)))
        .flatMap(n -> models.find(n).stream())
        .findFirst()
        .orElseGet(() -> models.named(name));
  }

  private static String without(String name) {
    return name.endsWith(LATEST) ? name.substring(0, name.length() - LATEST.length()) : name;
  }
}
