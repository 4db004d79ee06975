package dev.knapsack.cli;

import dev.knapsack.file.ModelAddress;
import dev.knapsack.file.StoredModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Parameters;

/**
 * The MODEL argument: a file, a directory, an address, a name in the local store, or nothing for
 * the embedded model.
 */
final class ModelArgument {
  private final Environment environment;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      arity = "0..1",
      description =
          "A GGUF file (any part of a model in several) or safetensors directory,"
              + " hf:OWNER/REPO[:FILE], an https: address, or a name that 'list' shows. Without"
              + " one: the small model inside Knapsack.")
  private @Nullable String model;

  ModelArgument(Environment environment) {
    this.environment = environment;
  }

  /** Says whether no model was named, so that it is the one inside Knapsack. */
  boolean embedded() {
    return model == null;
  }

  /** For who gave something else in its place: what was taken for it, if anything was. */
  String taken() {
    return model == null ? "" : " '%s' is the model.".formatted(model);
  }

  /** The model's path on this machine; fetches it first when it is an address and not here yet. */
  Path path() throws IOException, InterruptedException {
    return model == null ? EmbeddedModel.extract(environment.cache()) : path(environment, model);
  }

  static Path path(Environment environment, String model) throws InterruptedException {
    Path path = Path.of(model);
    if (Files.exists(path)) {
      return path;
    }
    Optional<StoredModel> stored = environment.store().find(model);
    if (stored.isPresent()) {
      return stored.get().path();
    }
    if (ModelAddress.isAddress(model)) {
      return pull(environment, model, Optional.empty());
    }
    throw new UnusableFileException(
        "'%s' is no file here and no model in %s. Give a path, hf:OWNER/REPO, an https: address, or a name from 'knapsack list'."
            .formatted(model, environment.store().settings().directory()));
  }

  /** Fetches a model with a progress bar. */
  static Path pull(Environment environment, String address, Optional<String> sha256)
      throws InterruptedException {
    try (ProgressBar bar = environment.progress("pulling")) {
      return environment
          .store()
          .pull(address, sha256, (file, bytes, total) -> bar.update(file, bytes, total));
    }
  }
}
