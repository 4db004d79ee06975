package dev.knapsack.cli;

import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoreSettings;
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
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      arity = "0..1",
      description =
          "A GGUF file or safetensors directory, hf:OWNER/REPO[:FILE], an https: address, or a name"
              + " that 'list' shows. Without one: the small model inside Knapsack.")
  private @Nullable String model;

  /** Whether no model was named, so that it is the one inside Knapsack. */
  boolean embedded() {
    return model == null;
  }

  /** The model's path on this machine; fetches it first when it is an address and not here yet. */
  Path path() throws IOException, InterruptedException {
    return model == null ? EmbeddedModel.extract(Directories.cache()) : path(model);
  }

  static Path path(String model) throws InterruptedException {
    Path path = Path.of(model);
    if (Files.exists(path)) {
      return path;
    }
    ModelStore store = new ModelStore(StoreSettings.fromEnvironment());
    Optional<StoredModel> stored = store.find(model);
    if (stored.isPresent()) {
      return stored.get().path();
    }
    if (isAddress(model)) {
      return pull(store, model, Optional.empty());
    }
    throw new NoSuchModelException(
        "'%s' is no file here and no model in %s. Give a path, hf:OWNER/REPO, an https: address, or a name from 'knapsack list'."
            .formatted(model, store.settings().directory()));
  }

  /** Fetches a model with a progress bar. */
  static Path pull(ModelStore store, String address, Optional<String> sha256)
      throws InterruptedException {
    try (ProgressBar bar = ProgressBar.onStandardError("pulling")) {
      return store.pull(address, sha256, (file, bytes, total) -> bar.update(file, bytes, total));
    }
  }

  private static boolean isAddress(String model) {
    return model.startsWith("hf:") || model.startsWith("https:") || model.startsWith("http:");
  }
}
