package dev.knapsack.langchain4j;

import dev.knapsack.Options;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The common part of the builders of models that read texts and write none: one that is open, or
 * the place of one that is opened for this and closed with it.
 *
 * @param <M> Knapsack's model
 * @param <B> the builder itself
 */
public abstract sealed class EncoderBuilder<M extends AutoCloseable, B extends EncoderBuilder<M, B>>
    permits KnapsackEmbeddingModel.Builder, KnapsackScoringModel.Builder {
  private @Nullable M model;
  private @Nullable String location;
  private ClassLoader resources =
      Objects.requireNonNullElse(
          Thread.currentThread().getContextClassLoader(), EncoderBuilder.class.getClassLoader());
  private @Nullable Host host;
  private Options options = Options.usual();

  EncoderBuilder() {}

  abstract B self();

  abstract M open(String place, ClassLoader known, Host in, Options how);

  /** A model that is open; who opened it closes it, and others may use it beside this. */
  final B opened(M value) {
    model = value;
    return self();
  }

  /** A GGUF or ONNX file or a directory of safetensors, which is opened, and closed with this. */
  public B modelPath(Path value) {
    return model(value.toString());
  }

  /**
   * The path of such a file, or {@code classpath:} and the name of one that is a resource of the
   * program, such as {@code classpath:all-minilm-l6-v2.onnx}.
   */
  public B model(String value) {
    location = value;
    return self();
  }

  /** Knows the program's resources; the thread's class loader if nothing is said. */
  public B resources(ClassLoader value) {
    resources = value;
    return self();
  }

  /** A budget of its own, such as {@code 160MiB}, for the model that is opened. */
  public B memory(String value) {
    return host(new Host(Budget.of(value)));
  }

  /** The host whose budget and threads the model that is opened shares with others. */
  public B host(Host value) {
    host = value;
    return self();
  }

  /** Choices in opening the model; {@link Options#usual()} if nothing is said. */
  public B options(Options value) {
    options = value;
    return self();
  }

  /** A model, and whether it was opened for whoever uses it. */
  record Held<M extends AutoCloseable>(M model, boolean owned) {}

  final Held<M> held() {
    if ((model == null) == (location == null)) {
      throw new IllegalStateException("Give either a model that is open or the path of one.");
    }
    if (model != null) {
      return new Held<>(model, false);
    }
    if (host == null) {
      throw new IllegalStateException(
          "The model at %s has no budget; name one with memory, or give the host that it shares."
              .formatted(location));
    }
    try {
      return new Held<>(open(Objects.requireNonNull(location), resources, host, options), true);
    } catch (RuntimeException e) {
      throw Failures.opening(e);
    }
  }
}
