package dev.knapsack.serve;

import dev.knapsack.serve.http.Refusal;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The models that a server has, in the order in which they were named.
 *
 * @param all at least one; names differ
 */
public record ServedModels(List<ServedModel> all) {
  public ServedModels {
    all = List.copyOf(all);
    if (all.isEmpty() || all.stream().map(ServedModel::name).distinct().count() < all.size()) {
      throw new IllegalArgumentException(
          "A server needs one model or more, each by a name of its own; these are: "
              + all.stream().map(ServedModel::name).collect(Collectors.joining(", ")));
    }
  }

  public Optional<ServedModel> find(String name) {
    return all.stream().filter(m -> m.name().equals(name)).findFirst();
  }

  /**
   * The model that a request names; the first one if it names none.
   *
   * @throws Refusal if there is none of this name
   */
  public ServedModel named(Optional<String> name) {
    if (name.isEmpty()) {
      return all.getFirst();
    }
    return find(name.get())
        .orElseThrow(() ->
            Refusal.of(
                Refusal.Kind.NOT_FOUND,
                "model_not_found",
                "There is no model '%s' here; there is %s."
                    .formatted(
                        name.get(),
                        all.stream()
                            .map(m -> "'" + m.name() + "'")
                            .collect(Collectors.joining(", ")))));
  }
}
