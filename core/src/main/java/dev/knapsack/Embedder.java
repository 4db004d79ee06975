package dev.knapsack;

import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.engine.TextEncoder;
import dev.knapsack.engine.TextTokens;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * An embedding model, open inside a budget: it makes vectors of texts, such that texts with like
 * meanings have like directions.
 *
 * <pre>{@code
 * try (Embedder embedder = Knapsack.embedder("all-MiniLM-L6-v2.gguf", Budget.of("160MiB"))) {
 *   List<Embedding> vectors = embedder.embed(List.of("A cat on the sill.", "A kitten at the window."));
 *   double likeness = vectors.get(0).cosine(vectors.get(1));
 * }
 * }</pre>
 *
 * <p>What many threads ask for at once is computed together, and a text's vector is the same, bit
 * for bit, whatever is computed beside it. Memory does not depend on how many texts there are or
 * how long they are: the plan has it all. Closing gives every byte back.
 */
public final class Embedder implements AutoCloseable {
  private static final float LAYER_NORM_EPSILON = 1e-5f;

  /** Steps whose texts may be under way for one caller. */
  private static final int STEPS_AHEAD = 4;

  private final OpenEncoder open;
  private final TextEncoder encoder;
  private final ModelSpec spec;

  private Embedder(OpenEncoder open) {
    this.open = open;
    this.encoder = open.encoder();
    this.spec = encoder.spec();
  }

  /**
   * Opens a model as asked for, beside what else is open in a host. Of the options those count that
   * are not about caches or answers.
   *
   * @throws dev.knapsack.error.ModelFileException if it cannot be read, is not supported, or is no
   *     embedding model
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   * @throws dev.knapsack.error.PlanMismatchException if a plan was given that is not for this model
   */
  public static Embedder open(Path model, Host host, Options options) {
    return new Embedder(OpenEncoder.open(ModelFile.open(model), host, options, false));
  }

  /**
   * Opens a model in a file, or one that is a resource of the program, such as {@code
   * classpath:all-minilm-l6-v2.onnx} of LangChain4j's artifacts.
   *
   * @param resources knows the program's resources
   */
  public static Embedder open(String location, ClassLoader resources, Host host, Options options) {
    return new Embedder(
        OpenEncoder.open(ModelFile.open(location, resources), host, options, false));
  }

  /** The plan that it was opened by. */
  public Plan plan() {
    return open.plan();
  }

  /** The arithmetic in use, and why no faster one is: a line for people. */
  public String kernels() {
    return encoder.kernels().reason();
  }

  /** The model's own name. */
  public String name() {
    return spec.name();
  }

  public Budget budget() {
    return encoder.budget();
  }

  /** The model's file; for modules of Knapsack itself, to which alone its type is known. */
  public ModelFile file() {
    return open.file();
  }

  /** The model's shape; likewise. */
  public ModelSpec spec() {
    return spec;
  }

  /** The model's tokenizer; likewise. */
  public Tokenizer tokenizer() {
    return open.tokenizer();
  }

  /** Numbers in a vector. */
  public int dimensions() {
    return encoder.columns();
  }

  /** Tokens of the longest text, special ones included. */
  public int maxTokens() {
    return plan().context();
  }

  /** The vector of a text. */
  public Embedding embed(String text) {
    return embed(EmbeddingRequest.of(text)).getFirst();
  }

  /** The vectors of texts, in their order. */
  public List<Embedding> embed(List<String> texts) {
    return embed(EmbeddingRequest.of(texts));
  }

  /**
   * The vectors of a request's texts, in their order.
   *
   * @throws ContextExceededException if one is too long, and is not to be cut
   * @throws IllegalArgumentException if the model was trained with no words for the task, or has
   *     fewer dimensions than asked for
   * @throws dev.knapsack.error.WaitInterruptedException if the thread is interrupted meanwhile
   */
  public List<Embedding> embed(EmbeddingRequest request) {
    List<Embedding> all = new ArrayList<>(request.size());
    if (request.tokens.isEmpty()) {
      embed(request, request.texts.iterator(), all::add);
    } else {
      embed(request, request.tokens.iterator(), tokens -> given(request, tokens), all::add);
    }
    return all;
  }

  /**
   * The vectors of as many texts as there are, each given to {@code each} in their order as soon as
   * it is there; neither texts nor vectors pile up.
   *
   * @param request what is wanted of them; its own texts do not count
   */
  public void embed(EmbeddingRequest request, Iterator<String> texts, Consumer<Embedding> each) {
    String prefix = prefix(request);
    embed(request, texts, text -> input(request, prefix + text), each);
  }

  private <T> void embed(
      EmbeddingRequest request,
      Iterator<T> texts,
      Function<T, TextTokens.Input> inputs,
      Consumer<Embedding> each) {
    if (pooling() == Encoding.Pooling.NONE) {
      throw new IllegalArgumentException(
          "%s gives a vector for each token, and says of none how to make one of all; name a pooling, such as the mean."
              .formatted(name()));
    }
    int dimensions = dimensions(request);
    Deque<Submitted> submitted = new ArrayDeque<>();
    try {
      int tokens = 0;
      while (texts.hasNext()) {
        Submitted next = submit(inputs.apply(texts.next()));
        submitted.add(next);
        tokens += next.input.tokens().length;
        while (!submitted.isEmpty()
            && (tokens > STEPS_AHEAD * plan().prefillChunk()
                || submitted.getFirst().result.isDone())) {
          Submitted first = submitted.removeFirst();
          tokens -= first.input.tokens().length;
          each.accept(finished(request, first, dimensions));
        }
      }
      while (!submitted.isEmpty()) {
        each.accept(finished(request, submitted.remove(), dimensions));
      }
    } finally {
      submitted.forEach(left -> left.result.cancel(false)); // where something was thrown
    }
  }

  /**
   * The vectors of a text's tokens, in their order, as the model gives them.
   *
   * @throws IllegalArgumentException if the model was opened to make one vector of all
   */
  public List<float[]> embedTokens(String text) {
    if (pooling() != Encoding.Pooling.NONE) {
      throw new IllegalArgumentException(
          "%s was opened to make one vector of a text's tokens; open it without pooling."
              .formatted(name()));
    }
    Submitted submitted = submit(input(EmbeddingRequest.of(text), text));
    float[] all = TextEncoder.await(submitted.result);
    List<float[]> rows = new ArrayList<>();
    for (int at = 0; at < all.length; at += dimensions()) {
      rows.add(Arrays.copyOfRange(all, at, at + dimensions()));
    }
    return rows;
  }

  private Encoding.Pooling pooling() {
    Encoding encoding = spec.encoding();
    return encoding == null ? Encoding.Pooling.NONE : encoding.pooling();
  }

  private String prefix(EmbeddingRequest request) {
    return request.task.map(task -> TaskPrefixes.of(spec, task)).orElse("") + request.prefix;
  }

  private int dimensions(EmbeddingRequest request) {
    int dimensions = request.dimensions.orElse(dimensions());
    if (dimensions > dimensions()) {
      throw new IllegalArgumentException(
          "%s makes vectors of %,d numbers; %,d were asked for. Ask for at most that."
              .formatted(name(), dimensions(), dimensions));
    }
    return dimensions;
  }

  /** A text on its way. */
  private record Submitted(TextTokens.Input input, CompletableFuture<float[]> result) {}

  private Submitted submit(TextTokens.Input input) {
    return new Submitted(input, encoder.submit(input.tokens()));
  }

  private TextTokens.Input input(EmbeddingRequest request, String text) {
    int most = most(request);
    TextTokens.Input input = open.tokens().text(text, most);
    if (input.cut() && request.longTexts == LongTexts.REFUSE) {
      throw ContextExceededException.ofText(open.tokens().count(text), most);
    }
    return input;
  }

  private TextTokens.Input given(EmbeddingRequest request, int[] tokens) {
    int most = most(request);
    for (int token : tokens) {
      if (token < 0 || token >= spec.vocabulary()) {
        throw new IllegalArgumentException(
            "Token %,d is none of the %,d that %s has; give the model's own, or the text."
                .formatted(token, spec.vocabulary(), name()));
      }
    }
    if (tokens.length == 0) {
      throw new IllegalArgumentException("A text of no tokens was given; give 1 or more.");
    }
    if (tokens.length > most && request.longTexts == LongTexts.REFUSE) {
      throw ContextExceededException.ofText(tokens.length, most);
    }
    return new TextTokens.Input(
        Arrays.copyOf(tokens, Math.min(tokens.length, most)), tokens.length > most);
  }

  private int most(EmbeddingRequest request) {
    return Math.min(maxTokens(), request.maxTokens.orElse(maxTokens()));
  }

  private Embedding finished(EmbeddingRequest request, Submitted submitted, int dimensions) {
    float[] vector = TextEncoder.await(submitted.result);
    if (dimensions < vector.length) {
      // Nomic's were trained to be cut behind a layer norm without factors (its card, v1.5).
      if (spec.family().equals("nomic-bert")) {
        centre(vector);
      }
      vector = Arrays.copyOf(vector, dimensions);
    }
    if (request.normalised) {
      normalise(vector);
    }
    return new Embedding(vector, submitted.input.tokens().length, submitted.input.cut());
  }

  private static void centre(float[] vector) {
    double sum = 0;
    for (float x : vector) {
      sum += x;
    }
    double mean = sum / vector.length;
    double squares = 0;
    for (float x : vector) {
      squares += (x - mean) * (x - mean);
    }
    double factor = 1 / Math.sqrt(squares / vector.length + LAYER_NORM_EPSILON);
    for (int i = 0; i < vector.length; i++) {
      vector[i] = (float) ((vector[i] - mean) * factor);
    }
  }

  /** A vector of zeros stays one. */
  private static void normalise(float[] vector) {
    double squares = 0;
    for (float x : vector) {
      squares += (double) x * x;
    }
    if (squares > 0) {
      double factor = 1 / Math.sqrt(squares);
      for (int i = 0; i < vector.length; i++) {
        vector[i] = (float) (vector[i] * factor);
      }
    }
  }

  @Override
  public void close() {
    open.close();
  }
}
