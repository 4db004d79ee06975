package dev.knapsack.engine;

import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.Event;
import dev.knapsack.model.Diffusion;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * An answer that is denoised: a prompt, and masks after it that become tokens, block by block (Nie
 * et al. 2025, LLaDA).
 *
 * <p>From a step's predictions follows the text of the next step, and, as long as a later one would
 * predict the same, that of the steps after it. Such drafts may be computed beside the text that is
 * due; one that turns out to be due then has been (Wu and Zhang 2025, Free Draft-and-Verification).
 * Each position has one random number for all steps, so that drafts come true at any temperature.
 */
final class Denoiser {
  /**
   * A text some of whose tokens are masks.
   *
   * @param from where the block begins that is being decided
   * @param to where it ends; the same if nothing is left to be decided
   * @param steps in which it is to be
   */
  record Canvas(int[] tokens, int from, int to, int steps) {
    boolean done() {
      return from == to;
    }
  }

  /**
   * The tokens that would come for a canvas's masks.
   *
   * @param first the position that the arrays begin with
   * @param tokens null where there is no mask
   * @param confidence the higher, the sooner
   */
  record Prediction(int first, Event.@Nullable Token[] tokens, double[] confidence) {}

  private final Diffusion diffusion;
  private final Denoising options;
  private final int begin;
  private final int end;

  /** A number for each position of the answer, that its token is drawn with. */
  private final double[] draws;

  /** A number for each position of the answer, for an order that is random. */
  private final double[] order;

  /** The tokens of the answer that are decided. */
  private final Event.@Nullable Token[] decided;

  /** The text that is due, and then drafts of those after it. */
  private List<Canvas> next;

  /** Tokens that have been taken. */
  private int taken;

  /**
   * @param length tokens of the answer
   */
  Denoiser(Diffusion diffusion, Denoising options, int[] prompt, int length, long seed) {
    this.diffusion = diffusion;
    this.options = options;
    this.begin = prompt.length;
    this.end = prompt.length + length;
    this.decided = new Event.Token[length];
    SplittableRandom random = new SplittableRandom(seed);
    this.draws = random.split().doubles(length).toArray();
    this.order = random.split().doubles(length).toArray();
    int[] tokens = Arrays.copyOf(prompt, end);
    Arrays.fill(tokens, begin, end, diffusion.maskToken());
    this.next = List.of(block(tokens, begin));
  }

  Diffusion diffusion() {
    return diffusion;
  }

  private Canvas block(int[] tokens, int from) {
    int to = Math.min(end, from + options.blockLength());
    return new Canvas(tokens, from, to, options.steps(to - from));
  }

  /** The text that is due, and after it drafts that may be computed in the same step. */
  List<Canvas> next() {
    return next;
  }

  /** Says whether a position is yet to be decided. */
  boolean masked(Canvas canvas, int position) {
    return canvas.tokens[position] == diffusion.maskToken();
  }

  /** The number that the token of a position of the answer is drawn with. */
  double draw(int position) {
    return draws[position - begin];
  }

  /** The place of a position of the answer in an order that is random. */
  double order(int position) {
    return order[position - begin];
  }

  /**
   * Goes on as far as the predictions lead.
   *
   * @param predictions for the first texts of {@link #next}, at least one
   */
  void advance(List<Prediction> predictions) {
    int at = 0;
    Canvas due = decide(at, predictions.getFirst());
    while (at + 1 < predictions.size() && Arrays.equals(due.tokens, next.get(at + 1).tokens)) {
      at++;
      due = decide(at, predictions.get(at));
    }
    int block = next.get(at).from;
    List<Canvas> texts = new ArrayList<>(List.of(due));
    Canvas draft = due;
    while (texts.size() <= options.drafts() && draft.from == block) {
      draft = decided(draft, predictions.get(at));
      if (!draft.done()) {
        texts.add(draft);
      }
    }
    next = texts;
  }

  /** Decides what a text's prediction is surest of, for good. */
  private Canvas decide(int index, Prediction prediction) {
    Canvas canvas = next.get(index);
    Canvas due = decided(canvas, prediction);
    for (int at = canvas.from; at < canvas.to; at++) {
      if (masked(canvas, at) && !masked(due, at)) {
        decided[at - begin] = prediction.tokens[at - prediction.first];
      }
    }
    return due;
  }

  /** The text after a step: those masks decided that the prediction is surest of. */
  private Canvas decided(Canvas canvas, Prediction prediction) {
    int[] tokens = canvas.tokens.clone();
    int masks = 0;
    for (int at = canvas.from; at < canvas.to; at++) {
      masks += masked(canvas, at) ? 1 : 0;
    }
    int count = Math.ceilDiv(masks, canvas.steps);
    for (int i = 0; i < count; i++) {
      int surest = -1;
      for (int at = canvas.from; at < canvas.to; at++) {
        if (tokens[at] == diffusion.maskToken()
            && (surest < 0
                || prediction.confidence[at - prediction.first]
                    > prediction.confidence[surest - prediction.first])) {
          surest = at;
        }
      }
      Event.Token token = prediction.tokens[surest - prediction.first];
      if (token == null) {
        throw new IllegalStateException("Nothing was predicted for position " + surest);
      }
      tokens[surest] = token.id();
    }
    return count < masks
        ? new Canvas(tokens, canvas.from, canvas.to, canvas.steps - 1)
        : block(tokens, canvas.to);
  }

  /** Takes the next token of the answer; null while it, or one before it, is not decided. */
  Event.@Nullable Token take() {
    return taken == decided.length || decided[taken] == null ? null : decided[taken++];
  }

  /** Says whether all of the answer has been taken. */
  boolean isTaken() {
    return taken == decided.length;
  }
}
