package dev.knapsack.cli;

import dev.knapsack.Embedder;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.Task;
import dev.knapsack.model.Encoding.Pooling;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack embed}: vectors of texts. */
@Command(
    name = "embed",
    sortOptions = false,
    description =
        "Makes vectors of texts with an embedding model, as many as there are, in the memory that"
            + " the plan says.",
    footer = {
      "",
      "  knapsack embed minilm.gguf --text 'A cat on the sill.'",
      "  knapsack embed minilm.gguf --memory 160MiB -i texts.jsonl -o vectors.npy",
      "  knapsack embed nomic.gguf --task query --dimensions 256 < questions.txt > vectors.jsonl",
    })
final class EmbedCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;
  @Mixin private final TextInput input;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description =
          "The file of vectors: .npy for NumPy, .f32 for bare numbers (float32, little-endian),"
              + " any other for JSON lines (default: JSON lines on standard output).")
  private @Nullable Path output;

  @Option(
      names = "--task",
      paramLabel = "TASK",
      description =
          "Put the words before each text that the model was trained with for this task:"
              + " ${COMPLETION-CANDIDATES} (default: none).")
  private @Nullable Task task;

  @Option(
      names = "--prefix",
      paramLabel = "WORDS",
      description = "Put these words before each text.")
  private String prefix = "";

  @Option(
      names = "--dimensions",
      paramLabel = "N",
      description = "The first N numbers of each vector, of models that were trained for it.")
  private @Nullable Integer dimensions;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "Read N tokens of a text at the most (default: as many as the plan says).")
  private @Nullable Integer maxTokens;

  @Option(
      names = "--refuse-long",
      description = "Stop at a text that is too long; otherwise its end is left out.")
  private boolean refuseLong;

  @Option(names = "--no-normalise", description = "Leave the lengths of vectors as they are.")
  private boolean asIs;

  @Option(
      names = "--pooling",
      paramLabel = "KIND",
      description = "mean, first or last, whatever the model's file says.")
  private @Nullable Pooling pooling;

  @Mixin private final EngineOptions engine;

  EmbedCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.input = new TextInput(environment);
    this.engine = new EngineOptions(environment);
  }

  private EmbeddingRequest request() {
    EmbeddingRequest request =
        EmbeddingRequest.of(List.of()).withPrefix(prefix).withNormalised(!asIs);
    if (task != null) {
      request = request.withTask(task);
    }
    if (dimensions != null) {
      request = request.withDimensions(dimensions);
    }
    if (maxTokens != null) {
      request = request.withMaxTokens(maxTokens);
    }
    return refuseLong ? request.withLongTexts(EmbeddingRequest.LongTexts.REFUSE) : request;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    EmbeddingRequest request = request();
    Path path = engine.path(model);
    Pooling other = pooling;
    try (Embedder embedder =
            engine.open(
                path,
                (file, host, options) ->
                    Embedder.open(
                        file, host, other == null ? options : options.withPooling(other)));
        VectorOutput vectors = VectorOutput.to(output, environment.streams().out())) {
      long began = System.nanoTime();
      input.read(texts -> embedder.embed(request, texts, vectors::add));
      double seconds = (System.nanoTime() - began) / 1e9;
      environment
          .streams()
          .err()
          .println(
              String.format(
                  Locale.ROOT,
                  "%,d texts, %,d tokens%s in %.1f s: %.0f texts/s",
                  vectors.count(),
                  vectors.tokens(),
                  vectors.cut() == 0 ? "" : ", %,d of them cut".formatted(vectors.cut()),
                  seconds,
                  vectors.count() / seconds));
    }
    return 0;
  }
}
