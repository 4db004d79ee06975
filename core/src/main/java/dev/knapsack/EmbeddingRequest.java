package dev.knapsack;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;

/** Texts, and what is wanted of their vectors: a value that {@code with…} derives others from. */
public final class EmbeddingRequest {
  /** The fate of a text that is longer than the model, or the request, lets it be. */
  public enum LongTexts {
    /** Its end is left out, and its {@link Embedding} says so. */
    CUT,
    /** It is refused, and so is the request. */
    REFUSE
  }

  final List<String> texts;

  /** Texts as tokens; of a request there are these or the others. */
  final List<int[]> tokens;

  Optional<Task> task = Optional.empty();
  String prefix = "";
  OptionalInt dimensions = OptionalInt.empty();
  OptionalInt maxTokens = OptionalInt.empty();
  LongTexts longTexts = LongTexts.CUT;
  boolean normalised = true;

  private EmbeddingRequest(List<String> texts, List<int[]> tokens) {
    this.texts = List.copyOf(texts);
    this.tokens = List.copyOf(tokens);
  }

  /** Texts as they are, and vectors of length 1. */
  public static EmbeddingRequest of(List<String> texts) {
    return new EmbeddingRequest(texts, List.of());
  }

  /** One text. */
  public static EmbeddingRequest of(String text) {
    return of(List.of(text));
  }

  /**
   * Texts as tokens of the model's own vocabulary, which are computed as they are: nothing is put
   * before them, no special ones are added, and what is too long is refused or loses its end.
   */
  public static EmbeddingRequest ofTokens(List<int[]> texts) {
    return new EmbeddingRequest(List.of(), texts);
  }

  /** The number of texts. */
  public int size() {
    return texts.size() + tokens.size();
  }

  private EmbeddingRequest with(Consumer<EmbeddingRequest> change) {
    return with(new EmbeddingRequest(texts, tokens), change);
  }

  private EmbeddingRequest with(EmbeddingRequest copy, Consumer<EmbeddingRequest> change) {
    copy.task = task;
    copy.prefix = prefix;
    copy.dimensions = dimensions;
    copy.maxTokens = maxTokens;
    copy.longTexts = longTexts;
    copy.normalised = normalised;
    change.accept(copy);
    return copy;
  }

  /** The same wanted of other texts. */
  public EmbeddingRequest withTexts(List<String> others) {
    return with(of(others), _ -> {});
  }

  /** The words that the model was trained with for this task are put before each text. */
  public EmbeddingRequest withTask(Task value) {
    return with(r -> r.task = Optional.of(value));
  }

  /** These words are put before each text, such as an instruction; after those of a task. */
  public EmbeddingRequest withPrefix(String words) {
    return with(r -> r.prefix = words);
  }

  /**
   * The first so many numbers of each vector: of models that were trained so that they mean
   * something by themselves (Kusupati et al., "Matryoshka Representation Learning", arXiv
   * 2205.13147).
   */
  public EmbeddingRequest withDimensions(int count) {
    if (count < 1) {
      throw new IllegalArgumentException(
          "A vector of %,d numbers was asked for; give 1 or more.".formatted(count));
    }
    return with(r -> r.dimensions = OptionalInt.of(count));
  }

  /** Tokens that a text may have, special ones included; by default as many as the plan says. */
  public EmbeddingRequest withMaxTokens(int count) {
    if (count < 3) {
      throw new IllegalArgumentException(
          "Texts of %,d tokens were asked for; give 3 or more: two may be special."
              .formatted(count));
    }
    return with(r -> r.maxTokens = OptionalInt.of(count));
  }

  /** The end of texts that are too long; by default they are cut. */
  public EmbeddingRequest withLongTexts(LongTexts value) {
    return with(r -> r.longTexts = value);
  }

  /** Vectors of length 1, so that a dot product is a cosine; true by default. */
  public EmbeddingRequest withNormalised(boolean value) {
    return with(r -> r.normalised = value);
  }
}
