package dev.knapsack.eval;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.knapsack.Knapsack;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Request;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.model.ModelIdentity;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.text.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Measures what recipes that treat heads and layers differently have to know of a model: it answers
 * questions with all of its cache, and its attention is looked at meanwhile.
 */
public final class Calibrating {
  /** Tokens that an answer may be longer than the exact one, before it is wrong anyway. */
  private static final int MORE = 8;

  /** Questions that are read a second time: their tokens are many. */
  private static final int COMPARED = 8;

  /** Opens the model. */
  @FunctionalInterface
  public interface Opener {
    /**
     * @param policy to be given to the KV cache; prefixes must not be shared
     * @param context tokens that a sequence must be able to hold
     */
    Knapsack open(KvPolicy policy, int context) throws IOException;
  }

  /** A question, and where the prompt says the answer last. */
  private record Asked(int[] prompt, String answer, int maxTokens, int needleFrom, int needleTo) {}

  /**
   * The figures that were found.
   *
   * @param figures what heads and layers look at
   * @param directions in which their keys and values take the fewest numbers
   */
  public record Found(Calibration figures, HeadDirections directions) {}

  private final Path model;
  private final List<Asked> questions;
  private final String identity;
  private final KvLayout layout;

  private Calibrating(Path model, List<Asked> questions, String identity, KvLayout layout) {
    this.model = model;
    this.questions = questions;
    this.identity = identity;
    this.layout = layout;
  }

  /**
   * A measurement to be made, of a model whose header and vocabulary are read and nothing else.
   *
   * @throws TextException if a question is longer than what the model was trained for
   */
  public static Calibrating of(Path model, List<Question> questions) {
    if (questions.isEmpty()) {
      throw new TextException("There are no questions to calibrate with: give some");
    }
    try (ModelFile file = ModelFile.open(model)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      ModelSpec spec = Families.spec(file);
      Perplexity.checkWrites(spec);
      List<Asked> asked = new ArrayList<>();
      for (Question question : questions) {
        Asked one = asked(tokenizer, question);
        if (one.prompt.length + one.maxTokens >= spec.context()) {
          throw new TextException(
              "Question %s and its answer take %,d tokens; the model was trained for %,d. Give shorter questions."
                  .formatted(question.id(), one.prompt.length + one.maxTokens, spec.context()));
        }
        asked.add(one);
      }
      KvLayout layout = spec.kvLayout(KvLayout.FULL, KvLayout.FULL);
      return new Calibrating(model, asked, ModelIdentity.of(file), layout);
    }
  }

  private static Asked asked(Tokenizer tokenizer, Question question) {
    int[] prompt = tokenizer.encode(question.prompt(), true, true);
    int most = tokenizer.encode(question.answer(), false, false).length + MORE;
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    int[] starts = new int[prompt.length + 1];
    for (int i = 0; i < prompt.length; i++) {
      text.writeBytes(tokenizer.bytes(prompt[i], true));
      starts[i + 1] = text.size();
    }
    byte[] answer = question.answer().getBytes(UTF_8);
    int at = lastIndexOf(text.toByteArray(), answer);
    int from = 0;
    int to = 0;
    for (int i = 0; at >= 0 && i < prompt.length; i++) {
      from = starts[i] <= at ? i : from;
      to = starts[i] < at + answer.length ? i + 1 : to;
    }
    return new Asked(prompt, question.answer(), most, from, to);
  }

  private static int lastIndexOf(byte[] text, byte[] part) {
    for (int at = text.length - part.length; at >= 0; at--) {
      if (Arrays.equals(text, at, at + part.length, part, 0, part.length)) {
        return at;
      }
    }
    return -1;
  }

  /**
   * Asks the questions, and reads the first of them again while earlier tokens are forgotten.
   *
   * @param progress is told of questions asked and read
   */
  public Found measure(Opener opener, Perplexity.Progress progress) throws IOException {
    int context =
        questions.stream().mapToInt(q -> q.prompt.length + q.maxTokens + 1).max().orElse(1);
    List<Asked> again = questions.subList(0, Math.min(COMPARED, questions.size()));
    int all = questions.size() + again.size();
    AttentionFigures figures = new AttentionFigures(layout);
    try (Knapsack model = opener.open(figures, context)) {
      for (int i = 0; i < questions.size(); i++) {
        ask(model, questions.get(i), figures);
        progress.update(i + 1, all);
      }
    }
    KeySimilarity similarity = new KeySimilarity(layout);
    try (Knapsack model = opener.open(similarity, context)) {
      for (int i = 0; i < again.size(); i++) {
        similarity.add(model.engine(), again.get(i).prompt);
        progress.update(questions.size() + i + 1, all);
      }
    }
    return new Found(
        similarity.with(figures.calibration(identity)),
        new HeadDirections(model, layout, figures.moments()));
  }

  private static void ask(Knapsack model, Asked asked, AttentionFigures figures) {
    Request request =
        Request.of(asked.prompt).withSampling(Sampling.GREEDY).withMaxTokens(asked.maxTokens);
    figures.begin(asked.prompt.length, asked.needleFrom, asked.needleTo);
    try (Answer answer = model.engine().start(request)) {
      boolean right = answer.text().strip().equals(asked.answer);
      figures.end(answer.tokens().length, right);
    }
  }
}
