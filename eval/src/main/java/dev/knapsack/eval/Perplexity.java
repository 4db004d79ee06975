package dev.knapsack.eval;

import dev.knapsack.Knapsack;
import dev.knapsack.model.ModelSpec;
import java.nio.file.Path;
import java.util.List;

/**
 * A measure of a model's prediction of a text: the exponential of the mean negative log probability
 * that it gave to each token that came.
 *
 * <p>The text is cut into passages of the context's length, each read from an empty cache and
 * scored in its second half, so that every scored token has at least half the context before it
 * (llama.cpp's definition, and its figures).
 *
 * @param tokens tokens of the text
 * @param context tokens of a passage
 * @param passages passages read
 * @param scored predictions that count
 * @param nats mean negative log probability of a token
 */
public record Perplexity(int tokens, int context, int passages, long scored, double nats) {
  /** Tokens of a passage unless said otherwise, if the model was trained for as many. */
  public static final int USUAL_CONTEXT = 512;

  /**
   * The perplexity itself: 1 for a model that is certain and right, the vocabulary for a blind one.
   */
  public double value() {
    return Math.exp(nats);
  }

  /**
   * Measures the perplexity of a text.
   *
   * @param text its context and at least one passage of tokens
   * @param progress is told of passages read, and of all there are
   * @throws IllegalArgumentException if the model denoises texts
   * @throws TextException if it has fewer tokens than one passage
   * @throws dev.knapsack.error.ContextExceededException if {@code context} is more than the plan's
   */
  public static Perplexity of(Knapsack model, Text text, int context, Progress progress) {
    checkWrites(model.spec());
    int[] tokens = text.tokens(model.tokenizer());
    List<Passage> passages = text.passages(model.tokenizer(), tokens, context);
    Score score = new Score();
    Distribution distribution = new Distribution(model.spec().vocabulary());
    for (int i = 0; i < passages.size(); i++) {
      Passage passage = passages.get(i);
      int[] ids = passage.tokens();
      model
          .engine()
          .logits(
              ids,
              passage.first(),
              (position, logits) -> {
                if (position + 1 < ids.length) {
                  score.add(distribution.of(logits).logProbability(ids[position + 1]));
                }
              });
      progress.update(i + 1, passages.size());
    }
    return new Perplexity(tokens.length, context, passages.size(), score.count, score.nats());
  }

  /**
   * Refuses models whose logits are no predictions of a next token, and that have no cache.
   *
   * @throws IllegalArgumentException if it is one
   */
  static void checkWrites(ModelSpec spec) {
    if (spec.diffusion() != null) {
      throw new IllegalArgumentException(
          "%s denoises texts: it predicts what is masked, from both sides, and no next token, and it keeps no cache. Measure a model that writes token by token."
              .formatted(spec.name()));
    }
  }

  /** Is told how far a measurement has come. */
  @FunctionalInterface
  public interface Progress {
    Progress NONE = (_, _) -> {};

    void update(long done, long all);
  }

  /** Log probabilities, summed up. */
  static final class Score {
    private double sum;
    private long count;

    void add(double logProbability) {
      sum -= logProbability;
      count++;
    }

    long count() {
      return count;
    }

    double nats() {
      return count == 0 ? 0 : sum / count;
    }

    double perplexity() {
      return Math.exp(nats());
    }
  }

  /** A text to measure along, by its file's name. */
  static String name(Path file) {
    Path name = file.getFileName();
    return name == null ? file.toString() : name.toString();
  }
}
