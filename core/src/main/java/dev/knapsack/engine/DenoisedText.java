package dev.knapsack.engine;

import dev.knapsack.cache.SequenceState;
import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.model.Diffusion;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A text of an answer that is denoised, in one step: the one that is due, which goes on with what
 * was predicted for it and for drafts beside it, or a draft.
 */
final class DenoisedText implements Batch.AnswerWork {
  private final Answer answer;
  private final Denoiser denoiser;
  private final Denoiser.Canvas canvas;
  private final Set<Integer> endTokens;

  /** A sequence of the step's own, for what remembers nothing; null before and after the step. */
  private @Nullable SequenceState state;

  /** The first mask that is predicted, and what comes after the last. */
  private final int first;

  private final int last;

  /** Of the text that is due: itself, and the drafts that are computed with it. */
  private final List<DenoisedText> texts = new ArrayList<>();

  private Denoiser.@Nullable Prediction prediction;
  private long now;

  private DenoisedText(
      Answer answer, Denoiser denoiser, Denoiser.Canvas canvas, Set<Integer> endTokens) {
    this.answer = answer;
    this.denoiser = denoiser;
    this.canvas = canvas;
    this.endTokens = endTokens;
    int from = canvas.from();
    int to = canvas.to();
    while (!denoiser.masked(canvas, from)) {
      from++;
    }
    while (!denoiser.masked(canvas, to - 1)) {
      to--;
    }
    this.first = from;
    this.last = to;
  }

  /**
   * The next step for those of {@code live} that are wanted, first come first served: a text of
   * each, as long as they fit in a step, and then of each a draft, and so on.
   *
   * @param live answers that have a sequence and have not ended
   * @param all whether all of them are wanted: others wait for their sequences
   * @param endTokens tokens that end an answer
   */
  static Batch<DenoisedText> next(
      List<Answer> live, boolean all, Scheduler.Limits limits, Set<Integer> endTokens) {
    Map<Answer, DenoisedText> due = new LinkedHashMap<>();
    for (Answer answer : live) {
      if (all || answer.wanted()) {
        Denoiser denoiser = answer.denoiser();
        DenoisedText text =
            new DenoisedText(answer, denoiser, denoiser.next().getFirst(), endTokens);
        due.put(answer, text);
      }
    }
    List<DenoisedText> work = new ArrayList<>();
    int tokens = limits.tokens();
    int rows = limits.logitRows();
    int most = due.values().stream().mapToInt(t -> t.denoiser.next().size()).max().orElse(0);
    for (int draft = 0; draft < most; draft++) {
      for (DenoisedText text : due.values()) {
        List<Denoiser.Canvas> canvases = text.denoiser.next();
        if (text.texts.size() == draft && draft < canvases.size()) {
          DenoisedText more =
              draft == 0
                  ? text
                  : new DenoisedText(text.answer, text.denoiser, canvases.get(draft), endTokens);
          if (more.canvas.tokens().length <= tokens && more.rows() <= rows) {
            tokens -= more.canvas.tokens().length;
            rows -= more.rows();
            text.texts.add(more);
            work.add(more);
          }
        }
      }
    }
    return new Batch<>(work, work.stream().map(DenoisedText::run).toList());
  }

  private int rows() {
    return last - first;
  }

  private Run run() {
    state = answer.pool.sequence();
    int[] tokens = canvas.tokens();
    int added = denoiser.diffusion().row(last - 1) + 1;
    return new Run(
        state, tokens, 0, tokens.length, rows(), tokens.length - added, Run.Kind.TEXT, null);
  }

  private void release() {
    if (state != null) {
      state.close();
      state = null;
    }
  }

  @Override
  public Answer answer() {
    return answer;
  }

  private boolean isDue() {
    return !texts.isEmpty();
  }

  @Override
  public void settle(Run run, long begin, long end) {
    release();
    now = end;
    if (isDue()) {
      answer.computed(begin, end);
    }
  }

  /** Predicts the tokens of all masks of the block. */
  @Override
  public void use(Matrix logits, int row, int rows) {
    Diffusion diffusion = denoiser.diffusion();
    Denoising.Confidence measure = answer.request.sampling().denoising().confidence();
    Sampler sampler = answer.sampler(diffusion.maskToken());
    Tokens history = history();
    Event.@Nullable Token[] tokens = new Event.Token[rows];
    double[] confidence = new double[rows];
    for (int i = 0; i < rows; i++) {
      if (denoiser.masked(canvas, first + i)) {
        long offset = logits.rowOffset(row + i);
        Event.Token token =
            sampler.sample(
                logits.data(), offset, logits.columns(), history, denoiser.draw(first + i));
        tokens[i] = token;
        confidence[i] =
            measure == Denoising.Confidence.RANDOM
                ? denoiser.order(first + i)
                : Confidences.of(measure, logits.data(), offset, logits.columns(), token.id());
      }
    }
    prediction = new Denoiser.Prediction(first, tokens, confidence);
  }

  /** The tokens that are decided, in order: of prompt and answer. */
  private Tokens history() {
    Tokens history = new Tokens(canvas.tokens().length);
    for (int i = 0; i < canvas.tokens().length; i++) {
      if (!denoiser.masked(canvas, i)) {
        history.add(canvas.tokens()[i]);
      }
    }
    return history;
  }

  @Override
  public void finish() {
    if (!isDue()) {
      return;
    }
    List<Denoiser.Prediction> predictions = new ArrayList<>();
    for (DenoisedText text : texts) {
      if (text.prediction == null) {
        break; // what went wrong with a draft counts when it is due
      }
      predictions.add(text.prediction);
    }
    denoiser.advance(predictions);
    for (Event.Token token = denoiser.take();
        token != null && !answer.ended();
        token = denoiser.take()) {
      answer.accept(token, endTokens.contains(token.id()), now);
    }
    if (denoiser.isTaken() && !answer.ended()) {
      answer.finish(
          canvas.tokens().length < answer.session.capacity
              ? FinishReason.MAX_TOKENS
              : FinishReason.CONTEXT_FULL);
    }
  }

  @Override
  public void fail(Throwable problem) {
    release();
    if (isDue()) {
      answer.fail(problem);
    }
  }
}
