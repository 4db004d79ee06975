package dev.knapsack.file;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * The place where models are kept, and the settings by which they are fetched.
 *
 * @param directory the local store
 * @param endpoint the hub that {@code hf:} addresses mean
 * @param token what opens private and gated models on that hub; sent to no other host
 * @param attempts how often a transfer that makes no progress is tried
 * @param backoff how long to wait after the first failure; doubles with each that follows
 * @param stall how long a transfer may stand still before it counts as broken
 */
public record StoreSettings(
    Path directory,
    URI endpoint,
    Optional<String> token,
    int attempts,
    Duration backoff,
    Duration stall) {
  public static final URI HUGGING_FACE = URI.create("https://huggingface.co");

  /** The usual hub without a token, and patience for a bad connection. */
  public static StoreSettings in(Path directory) {
    return new StoreSettings(
        directory,
        HUGGING_FACE,
        Optional.empty(),
        6,
        Duration.ofSeconds(1),
        Duration.ofSeconds(60));
  }

  /**
   * The settings by the variables of an environment: {@code KNAPSACK_MODELS} (by default {@code
   * knapsack/models} in {@code XDG_DATA_HOME} or, in the home, {@code .local/share}), {@code
   * HF_ENDPOINT} and {@code HF_TOKEN}.
   *
   * @throws IllegalArgumentException if {@code HF_ENDPOINT} is no http address
   */
  public static StoreSettings from(Map<String, String> environment, Path home) {
    StoreSettings settings = in(directory(environment, home));
    String endpoint = environment.getOrDefault("HF_ENDPOINT", "").strip();
    if (!endpoint.isEmpty()) {
      if (!endpoint.matches("https?://[^/?#\\s]+[^?#\\s]*")) {
        throw new IllegalArgumentException(
            "HF_ENDPOINT must be an address such as " + HUGGING_FACE + ", not '" + endpoint + "'");
      }
      settings = settings.withEndpoint(URI.create(endpoint.replaceAll("/+$", "")));
    }
    String token = environment.getOrDefault("HF_TOKEN", "").strip();
    return token.isEmpty() ? settings : settings.withToken(token);
  }

  private static Path directory(Map<String, String> environment, Path home) {
    String models = environment.getOrDefault("KNAPSACK_MODELS", "");
    if (!models.isBlank()) {
      return Path.of(models);
    }
    String data = environment.getOrDefault("XDG_DATA_HOME", "");
    return (data.isBlank() ? home.resolve(".local/share") : Path.of(data))
        .resolve("knapsack/models");
  }

  public StoreSettings withEndpoint(URI other) {
    return new StoreSettings(directory, other, token, attempts, backoff, stall);
  }

  public StoreSettings withToken(String secret) {
    return new StoreSettings(directory, endpoint, Optional.of(secret), attempts, backoff, stall);
  }

  /** Without the token, so that no log holds it. */
  @Override
  public String toString() {
    return "StoreSettings[directory=%s, endpoint=%s, token=%s]"
        .formatted(directory, endpoint, token.isPresent() ? "set" : "none");
  }
}
