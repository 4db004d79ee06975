package dev.knapsack.cli;

import static java.util.stream.Collectors.joining;

import dev.knapsack.eval.KvRecipeResult;
import dev.knapsack.eval.KvRecipes;
import dev.knapsack.eval.KvRecipesReport;
import dev.knapsack.eval.KvStages;
import dev.knapsack.eval.KvTrial;
import dev.knapsack.eval.Perplexity;
import dev.knapsack.eval.Question;
import dev.knapsack.eval.Task;
import dev.knapsack.eval.Tasks;
import dev.knapsack.eval.Text;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack eval kv}: what recipes of the KV cache cost in quality, at equal bytes. */
@Command(
    name = "kv",
    sortOptions = false,
    description =
        "Compares recipes of the KV cache with the full one at budgets of bytes: exact answers,"
            + " divergence of the predictions, bytes, time.",
    footer = {
      "",
      "Without a model it takes the one inside, and questions made for it.",
      "",
      "  knapsack eval kv --recipes 'snapkv;snapkv+q8_0;streaming' --budgets 50%%,25%%",
      "  knapsack eval kv model.gguf --questions questions.jsonl --visible --report out",
      "  knapsack eval kv model.gguf --task needle,recall --tokens 4000 --stages",
      "  knapsack eval kv --recipes 'score=knorm budget=uniform({budget}) action=evict"
          + " when=prompt'",
    })
final class EvalKvCommand implements Callable<Integer> {
  /** Recipes that need no more than their tokens. */
  private static final String USUAL =
      "streaming;knorm;keydiff;lagkv;h2o;snapkv;pyramidkv;adakv;full+q8_0;full+q4_0";

  /** Questions of each task. */
  private static final int TASK_QUESTIONS = 20;

  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Option(
      names = "--recipes",
      paramLabel = "RECIPE[;RECIPE…]",
      description =
          "Recipes as --kv takes them, with ';' between: a name alone gets the budget as its"
              + " tokens; in one that is written out {budget} stands for it. After '@' may follow"
              + " how many topics of a prompt it is read for, as in epicache@8, after '+' the form"
              + " of the cache, as in snapkv+q4_0+rotate (default: "
              + USUAL
              + ").")
  private String recipes = USUAL;

  @Option(
      names = "--budgets",
      paramLabel = "PERCENT",
      split = ",",
      description =
          "Bytes that the cache of a prompt may take, as shares of the full F16 cache (default:"
              + " 50%%,25%%,12%%,6%%).")
  private List<String> budgets = List.of("50%", "25%", "12%", "6%");

  @Mixin private final QuestionOptions asking = new QuestionOptions();

  @Option(
      names = "--task",
      paramLabel = "TASK",
      split = ",",
      description =
          "Questions that are made for any model, 20 each unless --limit says otherwise: needle,"
              + " one fact in filler; recall, the number of one of many names; variables, those"
              + " that were given a value; words, the three most frequent. Right is what contains"
              + " the answer.")
  private List<Task> tasks = List.of();

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Tokens of the prompts of --task, about (default: ${DEFAULT-VALUE}).")
  private int tokens = 1024;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Other questions of --task (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = "--visible",
      description =
          "Measure with questions in the prompt that is compressed, too, and not only with those"
              + " that are asked afterwards.")
  private boolean visible;

  @Option(
      names = "--text",
      paramLabel = "FILE",
      description =
          "Measure perplexity and divergence along a text in UTF-8, too: in passages of --context"
              + " tokens whose first half is the prompt.")
  private @Nullable Path text;

  @Option(
      names = "--bytes",
      paramLabel = "N",
      description = "Read no more than the first N bytes of the text.")
  private long bytes = Long.MAX_VALUE;

  @Option(
      names = "--stages",
      paramLabel = "PERCENT",
      arity = "0..1",
      fallbackValue = "25%",
      description =
          "Measure what the stages of a cache's life cost at one budget, too: generating,"
              + " compressing, retrieving (all questions of a conversation asked of one cache),"
              + " loading what was saved (at ${FALLBACK-VALUE} unless said otherwise).")
  private @Nullable String stages;

  @Option(
      names = "--report",
      paramLabel = "DIR",
      description = "Write a page with the table and pictures, and the figures as JSON lines.")
  private @Nullable Path report;

  @Option(names = "--json", description = "Print a JSON line for each recipe at each budget.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  EvalKvCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Integer> percents = budgets.stream().map(EvalKvCommand::percent).toList();
    Path path = engine.path(model);
    KvRecipes work =
        KvRecipes.of(
            path,
            questions(path),
            text == null ? Optional.empty() : Optional.of(Text.read(text, bytes)),
            engine.context().orElseGet(() -> EvalPerplexityCommand.usualContext(path)));
    List<String> named = KvTrial.recipes(recipes);
    List<KvTrial> trials = work.trials(named, percents);
    List<KvTrial> staged =
        stages == null ? List.of() : work.trials(named, List.of(percent(stages)));
    Perplexity.Progress progress = environment.counter("measured");
    KvRecipes.Opener opener = (trial, context) -> engine.open(path, trial::apply, context);
    List<KvRecipeResult> results = new ArrayList<>();
    for (boolean seen : visible ? new boolean[] {false, true} : new boolean[] {false}) {
      results.addAll(work.measure(trials, seen, opener, environment.cache(), progress));
    }
    List<KvStages> lives =
        stages == null ? List.of() : work.stages(staged, opener, environment.cache(), progress);
    String title =
        "%s; asked: %s"
            .formatted(
                path.getFileName(),
                asked() + (text == null ? "" : "; along " + text.getFileName()));
    KvRecipesReport page = new KvRecipesReport(title, results, lives);
    if (json) {
      environment.streams().out().print(page.jsonLines());
    } else {
      environment.streams().out().printf("%s%n%n%s", title, page.table().text());
      if (stages != null) {
        environment.streams().out().printf("%n%s", page.stageTable().text());
      }
    }
    if (report != null) {
      page.write(report);
      environment.streams().err().println("written: " + report.resolve("kv.md"));
    }
    return 0;
  }

  private static int percent(String text) {
    String number = text.strip().replaceFirst("\\s*%$", "");
    if (!number.matches("\\d{1,3}")
        || Integer.parseInt(number) < 1
        || Integer.parseInt(number) > 100) {
      throw new IllegalArgumentException(
          "--budgets takes whole percents from 1%% to 100%%, as in 50%%,25%%; not '%s'"
              .formatted(text));
    }
    return Integer.parseInt(number);
  }

  private List<Question> questions(Path path) throws IOException {
    if (!tasks.isEmpty()) {
      if (asking.given()) {
        throw new IllegalArgumentException(
            "--questions and --task exclude each other; give one of them");
      }
      int each = asking.limit().orElse(TASK_QUESTIONS);
      return new Tasks(tasks, tokens, each, seed).questions(path);
    }
    return asking.of(model, Integer.MAX_VALUE);
  }

  private String asked() {
    if (!tasks.isEmpty()) {
      String names =
          tasks.stream().map(t -> t.name().toLowerCase(Locale.ROOT)).collect(joining(", "));
      return "%s in about %,d tokens, seed %d".formatted(names, tokens, seed);
    }
    return asking.name(model);
  }
}
