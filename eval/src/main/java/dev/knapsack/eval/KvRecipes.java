package dev.knapsack.eval;

import dev.knapsack.Knapsack;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Episodes;
import dev.knapsack.engine.Reading;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.Footprint;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Measures what recipes of the KV cache cost a model in quality at budgets of bytes.
 *
 * <p>A prompt is read and its cache brought to its size; then its questions are asked, each by
 * itself. Hidden questions come after that, so that a recipe cannot know what will be asked;
 * visible ones are the end of the prompt. The F16 cache that keeps everything answers first. Then
 * each recipe reads the answer that it gave, and is compared with it prediction by prediction, and
 * gives its own.
 */
public final class KvRecipes {
  /** Opens the model. */
  @FunctionalInterface
  public interface Opener {
    /**
     * @param context tokens that a sequence must be able to hold
     */
    Knapsack open(KvTrial trial, int context) throws IOException;
  }

  /** A prompt, and what is asked when it has been read. */
  record Context(int[] tokens, List<Asked> questions) {
    /** The tokens of a question that come after the prompt. */
    int[] rest(Asked asked) {
      return asked.from(tokens.length);
    }
  }

  private final Path model;
  private final KvLayout full;
  private final List<Asked> questions;
  private final List<Passage> text;

  private KvRecipes(Path model, KvLayout full, List<Asked> questions, List<Passage> text) {
    this.model = model;
    this.full = full;
    this.questions = questions;
    this.text = text;
  }

  /**
   * A measurement to be made with a model, whose header and vocabulary are read and nothing else.
   *
   * @param text to measure along, too: in passages whose first half is the prompt
   * @param passage tokens of a passage
   * @throws TextException if there are no questions, or one is longer than what the model was
   *     trained for, or the text shorter than a passage
   */
  public static KvRecipes of(
      Path model, List<Question> questions, Optional<Text> text, int passage) {
    if (questions.isEmpty()) {
      throw new TextException("There is nothing to measure with: give questions");
    }
    try (ModelFile file = ModelFile.open(model)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      ModelSpec spec = Families.spec(file);
      Perplexity.checkWrites(spec);
      List<Asked> asked = new ArrayList<>();
      for (Question question : questions) {
        asked.add(Asked.of(tokenizer, spec.context(), question));
      }
      List<Passage> passages = List.of();
      if (text.isPresent()) {
        passages = text.get().passages(tokenizer, text.get().tokens(tokenizer), passage);
      }
      return new KvRecipes(model, spec.kvLayout(KvLayout.FULL, KvLayout.FULL), asked, passages);
    }
  }

  /**
   * Recipes at budgets of this model's bytes; see {@link KvTrial}.
   *
   * @throws IllegalArgumentException if one is none, or not for this model's heads
   * @throws dev.knapsack.error.ModelFileException if one goes by a file beside the model that is
   *     not there: said now, and not when others have been measured
   */
  public List<KvTrial> trials(List<String> recipes, List<Integer> percents) {
    List<KvTrial> trials = KvTrial.list(recipes, percents, full);
    try (ModelFile file = ModelFile.open(model)) {
      ModelSpec spec = Families.spec(file);
      for (KvTrial trial : trials) {
        KvPolicy policy = ModelCompanions.given(trial.policy(), file, spec);
        KvLayout _ = Plan.Cache.of(trial.form().format()).withPolicy(policy).layout(spec);
      }
    }
    return trials;
  }

  /** Tokens that a sequence must be able to hold. */
  public int context() {
    return Math.max(
        questions.stream().mapToInt(Asked::context).max().orElseThrow(),
        text.stream().mapToInt(r -> r.tokens().length).max().orElse(0));
  }

  /**
   * Measures recipes, and the F16 cache that keeps everything if it is not among them.
   *
   * @param visible whether questions are a part of the prompt that is compressed
   * @param scratch folder on disk for logits, meanwhile
   * @param progress is told of recipes measured
   * @return the full F16 cache first, then the others in their order
   * @throws TextException if questions are to be hidden, and where one begins is not known
   */
  public List<KvRecipeResult> measure(
      List<KvTrial> trials,
      boolean visible,
      Opener opener,
      Path scratch,
      Perplexity.Progress progress)
      throws IOException {
    List<Context> contexts = visible ? visible() : hidden();
    List<Passage> along = visible ? List.of() : text; // whatever questions are
    List<KvTrial> all = withFull(trials);
    List<KvRecipeResult> results = new ArrayList<>();
    try (Reference reference = reference(contexts, along, opener, scratch)) {
      for (KvTrial trial : all) {
        try (Knapsack model = opener.open(trial, context())) {
          Run run = new Run(model, reference, visible ? 0 : trial.episodes(), scratch);
          for (Context context : contexts) {
            run.context(context);
          }
          for (Passage passage : along) {
            run.text(passage);
          }
          results.add(run.result(trial, visible, results.isEmpty() ? null : results.getFirst()));
        }
        progress.update(results.size(), all.size());
      }
    }
    return results;
  }

  /**
   * Measures recipes in each stage of a cache's life, with hidden questions: those of a
   * conversation are asked of one cache.
   *
   * @param scratch folder on disk where caches are saved, meanwhile
   * @return the full F16 cache first, then the others in their order
   * @throws TextException as {@link #measure}
   */
  public List<KvStages> stages(
      List<KvTrial> trials, Opener opener, Path scratch, Perplexity.Progress progress)
      throws IOException {
    List<Context> contexts = hidden();
    List<KvTrial> all = withFull(trials);
    List<KvStages> results = new ArrayList<>();
    for (KvTrial trial : all) {
      results.add(KvStages.of(trial, contexts, t -> opener.open(t, context()), scratch));
      progress.update(results.size(), all.size());
    }
    return results;
  }

  private static List<KvTrial> withFull(List<KvTrial> trials) {
    return Stream.concat(Stream.of(KvTrial.FULL), trials.stream()).distinct().toList();
  }

  private List<Context> visible() {
    return questions.stream().map(asked -> new Context(asked.prompt(), List.of(asked))).toList();
  }

  /** Questions by what comes before them. */
  private List<Context> hidden() {
    Map<Object, List<Asked>> groups = new LinkedHashMap<>();
    for (Asked asked : questions) {
      Question question = asked.question();
      if (asked.before() == 0) {
        throw new TextException(
            "Question %s does not say where it begins, so that it cannot be hidden: give 'split', the place in 'context', or have questions visible"
                .formatted(question.id()));
      }
      Object key =
          question.conversation().isEmpty()
              ? Arrays.asList(Arrays.stream(asked.prompt()).limit(asked.before()).boxed().toArray())
              : question.conversation();
      groups.computeIfAbsent(key, _ -> new ArrayList<>()).add(asked);
    }
    return groups.values().stream().map(KvRecipes::context).toList();
  }

  /** Questions and what all of them begin with, up to where the first question begins. */
  private static Context context(List<Asked> group) {
    Asked first = group.getFirst();
    int common = group.stream().mapToInt(Asked::before).min().orElseThrow();
    for (Asked asked : group) {
      int mismatch = Arrays.mismatch(first.prompt(), 0, common, asked.prompt(), 0, common);
      common = mismatch < 0 ? common : mismatch;
    }
    if (common == 0) {
      throw new TextException(
          "The questions of conversation '%s' have no common beginning"
              .formatted(first.question().conversation()));
    }
    return new Context(Arrays.copyOf(first.prompt(), common), List.copyOf(group));
  }

  /** Answers of the full F16 cache, and its predictions meanwhile. */
  private record Reference(List<Asker.Written> answers, LogitsTape tape) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      tape.close();
    }
  }

  private Reference reference(
      List<Context> contexts, List<Passage> along, Opener opener, Path scratch) throws IOException {
    long predictions =
        questions.stream().mapToLong(asked -> asked.maxTokens() + 1).sum()
            + along.stream().mapToLong(Passage::scored).sum();
    try (Knapsack model = opener.open(KvTrial.FULL, context())) {
      LogitsTape tape = new LogitsTape(scratch, model.spec().vocabulary(), predictions);
      try {
        Asker asker = new Asker(model);
        List<Asker.Written> answers = new ArrayList<>();
        for (Context context : contexts) {
          try (Reading reading = asker.read(context.tokens())) {
            for (Asked asked : context.questions()) {
              try (Reading on = reading.fork()) {
                asker.readAll(on, context.rest(asked));
                answers.add(asker.write(on, asked.maxTokens(), (_, logits) -> tape.write(logits)));
              }
            }
          }
        }
        for (Passage passage : along) {
          asker.read(passage, (_, logits) -> tape.write(logits));
        }
        return new Reference(answers, tape);
      } catch (RuntimeException | Error | IOException e) {
        tape.close();
        throw e;
      }
    }
  }

  /** One trial, and the sums of what it measures. */
  private static final class Run {
    /** Sentences of a part of a prompt that is about one thing. */
    private static final int SENTENCES = 4;

    private final Knapsack model;
    private final Asker asker;
    private final Reference reference;
    private final int episodes;
    private final Path scratch;
    private final Distribution full;
    private final Agreement.Sum agreement = new Agreement.Sum();
    private final Perplexity.Score score = new Perplexity.Score();
    private final Agreement.Sum textAgreement = new Agreement.Sum();
    private final Perplexity.Score textScore = new Perplexity.Score();
    private final List<Long> resident = new ArrayList<>();
    private final SortedMap<Integer, Depth.Sum> depths = new TreeMap<>();
    private int contexts;
    private long tokens;
    private long bytes;
    private long peak;
    private int asked;
    private int right;
    private double readSeconds;
    private double firstTokenSeconds;

    /**
     * @param episodes that prompts are read for; 0 where they are read as they are
     */
    Run(Knapsack model, Reference reference, int episodes, Path scratch) throws IOException {
      this.model = model;
      this.episodes = episodes;
      this.scratch = scratch;
      this.asker = new Asker(model);
      this.reference = reference;
      this.full = new Distribution(model.spec().vocabulary());
      reference.tape.rewind();
    }

    void context(Context context) throws IOException {
      if (episodes > 0) {
        inEpisodes(context);
        return;
      }
      long before = anonymous();
      long begin = System.nanoTime();
      try (Reading reading = asker.read(context.tokens())) {
        double seconds = (System.nanoTime() - begin) / 1e9;
        readSeconds += seconds;
        resident.add(Math.max(0, anonymous() - before));
        contexts++;
        tokens += reading.tokens();
        long leased = asker.leased();
        // What the policy keeps beside pages was there at the peak, too.
        peak = Math.max(peak, reading.peakBytes() + leased - reading.bytes());
        long fetched = 0;
        for (Asked question : context.questions()) {
          int[] rest = context.rest(question);
          firstTokenSeconds += rest.length == 0 ? seconds : 0;
          fetched = Math.max(fetched, ask(reading, question, rest));
        }
        // What a recipe has read again from disk is memory that its answers need.
        bytes += leased + fetched;
      }
    }

    /** Of a prompt that is read once for each episode; questions find theirs. */
    private void inEpisodes(Context context) throws IOException {
      Files.createDirectories(scratch);
      Path folder = Files.createTempDirectory(scratch, "episodes");
      CacheStore store = new CacheStore(folder, Long.MAX_VALUE);
      List<int[]> segments = Episodes.segments(model.tokenizer(), context.tokens(), SENTENCES);
      long before = anonymous();
      long begin = System.nanoTime();
      try (Episodes read = Episodes.read(model.engine(), segments, episodes, store, "prompt", 1)) {
        readSeconds += (System.nanoTime() - begin) / 1e9;
        resident.add(Math.max(0, anonymous() - before));
        contexts++;
        tokens += context.tokens().length;
        peak = Math.max(peak, read.peakBytes());
        long most = 0;
        for (Asked question : context.questions()) {
          int[] rest = context.rest(question);
          long routing = System.nanoTime();
          Reading reading = read.reading(read.about(rest));
          firstTokenSeconds += (System.nanoTime() - routing) / 1e9;
          most = Math.max(most, asker.leased());
          ask(reading, question, rest);
        }
        bytes += most;
      } finally {
        KvStages.delete(folder);
      }
    }

    void text(Passage passage) throws IOException {
      asker.read(
          passage,
          (token, _) -> {
            textAgreement.add(full.of(reference.tape.read()), asker.next());
            textScore.add(asker.next().logProbability(token));
          });
    }

    /** Returns by how many bytes what has been read again from disk grew meanwhile, at most. */
    private long ask(Reading reading, Asked question, int[] rest) throws IOException {
      long begin = System.nanoTime();
      try (Reading on = reading.fork()) {
        long fetched = on.fetchedBytes();
        asker.readAll(on, rest);
        firstTokenSeconds += (System.nanoTime() - begin) / 1e9;
        Asker.Written given = reference.answers.get(asked++);
        int[] exact = question.exact();
        boolean along = Arrays.stream(exact).boxed().toList().equals(given.tokens());
        // Where an answer may stand anywhere, how likely it is in one place says nothing.
        boolean exactly = question.question().match() == Question.Match.EXACT;
        if (exactly && !along) {
          asker.score(on, exact, score);
        }
        Asker.Written own =
            asker.follow(
                on,
                given,
                question.maxTokens(),
                (t, _) -> {
                  agreement.add(full.of(reference.tape.read()), asker.next());
                  if (exactly && along && t < exact.length) {
                    score.add(asker.next().logProbability(exact[t]));
                  }
                });
        boolean answered = question.question().answeredBy(asker.text(own.tokens()));
        right += answered ? 1 : 0;
        if (question.question().depth() >= 0) {
          depths.computeIfAbsent(question.question().depth(), _ -> new Depth.Sum()).add(answered);
        }
        return on.fetchedBytes() - fetched;
      }
    }

    /**
     * @param whole what the full F16 cache measured; null for that itself
     */
    KvRecipeResult result(KvTrial trial, boolean visible, @Nullable KvRecipeResult whole) {
      long growth = resident.stream().sorted().skip(resident.size() / 2).findFirst().orElse(0L);
      return new KvRecipeResult(
          trial,
          visible,
          contexts,
          tokens,
          bytes,
          whole == null ? bytes : whole.bytes(),
          peak,
          whole == null ? peak : whole.peakBytes(),
          growth,
          asked,
          right,
          whole == null ? right : whole.right(),
          depths.entrySet().stream().map(e -> e.getValue().at(e.getKey())).toList(),
          agreement.mean(),
          score.count() == 0 ? 0 : score.perplexity(),
          textAgreement.mean(),
          textScore.count() == 0 ? 0 : textScore.perplexity(),
          readSeconds / contexts,
          firstTokenSeconds / asked,
          asker.tokensPerSecond());
    }

    private static long anonymous() {
      return Footprint.now().map(Footprint::anonymous).orElse(0L);
    }
  }
}
