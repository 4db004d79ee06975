package dev.knapsack.eval;

import dev.knapsack.Knapsack;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Request;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Measures what each form of the KV cache costs a model in quality, and what it takes in bytes.
 *
 * <p>The model is opened once for each form, the F16 cache first. It answers all questions,
 * greedily; then it reads the text, and each question with the answer that the F16 cache gave, and
 * its predictions are compared with those of the F16 cache, position by position. Without a text
 * the prompts of the questions are the text, each scored in its second half. The logits of the F16
 * cache wait on disk meanwhile.
 */
public final class KvFormats {
  /** Opens the model. */
  @FunctionalInterface
  public interface Opener {
    /**
     * @param context tokens that a sequence must be able to hold
     */
    Knapsack open(CacheForm form, int context) throws IOException;
  }

  /**
   * Tokens to read, whose predictions from {@code first} on are compared; those from {@code answer}
   * on make up an answer.
   */
  private record Reading(int[] tokens, int first, int answer) {
    /**
     * The end of the tokens whose prediction counts: that of the last does only where something
     * follows, a token or the answer's end.
     */
    int end() {
      return answer < tokens.length ? tokens.length : tokens.length - 1;
    }
  }

  private final KvLayout full;
  private final List<Asked> questions;
  private final List<Passage> text;
  private final boolean textGiven;
  private final int context;

  private KvFormats(KvLayout full, List<Asked> questions, List<Passage> text, boolean textGiven) {
    this.full = full;
    this.questions = questions;
    this.text = text;
    this.textGiven = textGiven;
    this.context =
        Math.max(
            questions.stream().mapToInt(Asked::context).max().orElse(0),
            text.stream().mapToInt(p -> p.tokens().length).max().orElse(0));
  }

  /**
   * A measurement to be made with a model, whose header and vocabulary are read and nothing else.
   *
   * @param questions may be none if there is a text
   * @param context tokens of a passage of the text
   * @throws TextException if the text has fewer tokens than that, or if there is nothing to measure
   *     with, or a question is longer than what the model was trained for
   */
  public static KvFormats of(
      Path model, List<Question> questions, Optional<Text> text, int context) {
    try (ModelFile file = ModelFile.open(model)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      ModelSpec spec = Families.spec(file);
      Perplexity.checkWrites(spec);
      int trained = spec.context();
      List<Asked> asked = new ArrayList<>();
      for (Question question : questions) {
        asked.add(Asked.of(tokenizer, trained, question));
      }
      List<Passage> passages = List.of();
      if (text.isPresent()) {
        passages = text.get().passages(tokenizer, text.get().tokens(tokenizer), context);
      } else if (questions.isEmpty()) {
        throw new TextException(
            "There is nothing to measure with: give questions, a text, or both");
      }
      KvLayout full = spec.kvLayout(KvLayout.FULL, KvLayout.FULL);
      return new KvFormats(full, asked, passages, text.isPresent());
    }
  }

  /** Tokens that a sequence must be able to hold. */
  public int context() {
    return context;
  }

  /**
   * Measures the forms, and F16 if it is not among them.
   *
   * @param scratch folder on disk for the logits of the F16 cache, meanwhile
   * @param progress is told of forms measured
   * @return F16 first, then the others in their order
   * @throws IllegalArgumentException if a form does not fit the model's heads; before anything is
   *     measured
   */
  public List<KvFormatResult> measure(
      List<CacheForm> forms, Opener opener, Path scratch, Perplexity.Progress progress)
      throws IOException {
    List<CacheForm> all = new ArrayList<>(List.of(CacheForm.FULL));
    forms.stream().distinct().filter(f -> !f.equals(CacheForm.FULL)).forEach(all::add);
    all.forEach(this::checkFits);
    List<KvFormatResult> results = new ArrayList<>();
    @Nullable Reference reference = null;
    try {
      for (CacheForm form : all) {
        try (Knapsack model = opener.open(form, context)) {
          Answers answers = answer(model);
          if (reference == null) {
            reference = Reference.of(model, readings(answers), scratch);
          }
          results.add(result(form, model, answers, reference));
        }
        progress.update(results.size(), all.size());
      }
    } finally {
      if (reference != null) {
        reference.tape.close();
      }
    }
    return results;
  }

  private void checkFits(CacheForm form) {
    for (LayerLayout.Heads layer : full.heads()) {
      checkFits(form, form.format().keys(), form.format().keySize(layer.keySize()));
      checkFits(form, form.format().values(), layer.valueSize());
    }
  }

  private static void checkFits(CacheForm form, Format format, int size) {
    if (!KvLayout.fits(format, size)) {
      String others =
          Formats.cache().stream()
              .filter(f -> KvLayout.fits(f, size))
              .map(f -> f.name().toLowerCase(Locale.ROOT))
              .collect(Collectors.joining(", "));
      throw new IllegalArgumentException(
          "The model has heads of %d numbers, which are no whole blocks of %s; these fit: %s"
              .formatted(size, form.name(), others));
    }
  }

  /** Answers, how many are right, and how fast they came. */
  private record Answers(List<int[]> tokens, int right, double tokensPerSecond) {}

  private Answers answer(Knapsack model) {
    List<int[]> tokens = new ArrayList<>();
    int right = 0;
    long written = 0;
    double seconds = 0;
    for (Asked asked : questions) {
      Request request =
          Request.of(asked.prompt()).withSampling(Sampling.GREEDY).withMaxTokens(asked.maxTokens());
      try (Answer answer = model.engine().start(request)) {
        right += asked.question().answeredBy(answer.text()) ? 1 : 0;
        tokens.add(answer.tokens());
        Usage usage = answer.usage();
        written += Math.max(0, usage.tokens() - 1);
        seconds += usage.decodeSeconds();
      }
    }
    return new Answers(tokens, right, seconds > 0 ? written / seconds : 0);
  }

  /** The text, then each question with the answer to it; both at once where there is no text. */
  private List<Reading> readings(Answers answers) {
    List<Reading> readings = new ArrayList<>();
    for (Passage passage : text) {
      readings.add(new Reading(passage.tokens(), passage.first(), passage.tokens().length));
    }
    for (int i = 0; i < questions.size(); i++) {
      int[] prompt = questions.get(i).prompt();
      int[] all =
          IntStream.concat(Arrays.stream(prompt), Arrays.stream(answers.tokens().get(i))).toArray();
      int answer = prompt.length - 1;
      readings.add(new Reading(all, textGiven ? answer : prompt.length / 2, answer));
    }
    return readings;
  }

  /** The full cache, which all forms are compared with. */
  private record Reference(
      List<Reading> readings, LogitsTape tape, int footprintTokens, CacheBytes bytes) {
    static Reference of(Knapsack model, List<Reading> readings, Path scratch) throws IOException {
      int tokens = footprintTokens(model);
      CacheBytes bytes =
          CacheBytes.measure(model.engine().kvLayout(), tokens, model.budget().account("kv"));
      long positions = readings.stream().mapToLong(r -> r.end() - r.first()).sum();
      LogitsTape tape = new LogitsTape(scratch, model.spec().vocabulary(), positions);
      try {
        for (Reading reading : readings) {
          read(model.engine(), reading, (_, logits) -> tape.write(logits));
        }
      } catch (RuntimeException | Error | IOException e) {
        tape.close();
        throw e;
      }
      return new Reference(readings, tape, tokens, bytes);
    }

    /** Tokens to fill caches with: in F32 they take no more than half of what is free. */
    private static int footprintTokens(Knapsack model) {
      KvLayout layout = model.engine().kvLayout();
      int tokens = CacheBytes.tokens(layout);
      while (tokens > layout.pageTokens() && 2 * layout.bytes(tokens) > model.budget().free() / 2) {
        tokens /= 2;
      }
      return Math.max(1, tokens / layout.pageTokens()) * layout.pageTokens();
    }
  }

  private KvFormatResult result(
      CacheForm form, Knapsack model, Answers answers, Reference reference) throws IOException {
    KvLayout layout = model.engine().kvLayout();
    CacheBytes bytes =
        form.equals(CacheForm.FULL)
            ? reference.bytes
            : CacheBytes.measure(layout, reference.footprintTokens, model.budget().account("kv"));
    int vocabulary = model.spec().vocabulary();
    Distribution full = new Distribution(vocabulary);
    Distribution own = new Distribution(vocabulary);
    Perplexity.Score score = new Perplexity.Score();
    Agreement.Sum text = new Agreement.Sum();
    Agreement.Sum answer = new Agreement.Sum();
    reference.tape.rewind();
    for (Reading reading : reference.readings) {
      read(
          model.engine(),
          reading,
          (position, logits) -> {
            full.of(reference.tape.read());
            own.of(logits);
            if (position >= reading.answer) {
              answer.add(full, own);
            } else {
              text.add(full, own);
              score.add(own.logProbability(reading.tokens[position + 1]));
            }
          });
    }
    return new KvFormatResult(
        form.name(),
        layout.keyFormat().name(),
        layout.valueFormat().name(),
        bytes,
        reference.bytes,
        score.count() == 0 ? 0 : score.perplexity(),
        text.mean(),
        answer.mean(),
        questions.size(),
        answers.right,
        answers.tokensPerSecond);
  }

  private interface Use {
    void accept(int position, MemorySegment logits) throws IOException;
  }

  private static void read(Engine engine, Reading reading, Use use) throws IOException {
    try {
      engine.logits(
          reading.tokens,
          reading.first,
          (position, logits) -> {
            if (position < reading.end()) {
              try {
                use.accept(position, logits);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }
}
