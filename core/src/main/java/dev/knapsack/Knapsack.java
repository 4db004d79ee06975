package dev.knapsack;

import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.LoadProgress;
import dev.knapsack.engine.Request;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.JvmShare;
import dev.knapsack.plan.Machine;
import dev.knapsack.plan.MachineCache;
import dev.knapsack.plan.Plan;
import dev.knapsack.plan.PlanRequest;
import dev.knapsack.plan.Planner;
import dev.knapsack.tensor.Format;
import dev.knapsack.text.ChatTemplate;
import dev.knapsack.text.Tokenizer;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;

/**
 * A model, open inside a budget.
 *
 * <pre>{@code
 * try (Knapsack knapsack = Knapsack.open(Path.of("model.gguf"), Budget.of("2GiB"));
 *     Chat chat = knapsack.chat("You are brief.")) {
 *   for (String piece : chat.send("What fits in two gigabytes?")) {
 *     show(piece);
 *   }
 * }
 * }</pre>
 *
 * <p>Opening plans what gets which bytes, and loads the model as planned; closing gives every byte
 * back. Several may share a budget. Safe for use by many threads.
 */
public final class Knapsack implements AutoCloseable {
  /**
   * What is not left to the plan, and how the model is opened.
   *
   * @param context tokens that a sequence may hold; if empty, what the model was trained for, at
   *     most {@link PlanRequest#USUAL_CONTEXT} and as much of it as fits
   * @param sequences sequences that hold memory at once
   * @param cacheFormat format of cached keys and values; if empty, the planner's choice
   * @param prefillChunk tokens of a prompt in one step; if empty, the planner's choice
   * @param workers threads that compute; if empty, one for each core
   * @param kernels the arithmetic; if empty, the fastest that works here
   * @param precision what activations are when they meet weights in a block format
   * @param plan this one instead of a new one; what else is said about planning does not count then
   * @param wholeProcess whether the budget bounds the whole process, its Java heap included, and
   *     not only what Knapsack adds to it
   * @param cache folder where the measured speed of this machine is kept
   * @param progress is told how far loading has come
   */
  public record Options(
      OptionalInt context,
      int sequences,
      Optional<Format> cacheFormat,
      OptionalInt prefillChunk,
      OptionalInt workers,
      Optional<KernelProvider> kernels,
      Compute.Precision precision,
      Optional<Plan> plan,
      boolean wholeProcess,
      Path cache,
      LoadProgress progress) {
    /**
     * One sequence, all else left to the plan; a guest in a larger program; the machine's speed is
     * kept in {@code $XDG_CACHE_HOME/knapsack} or {@code ~/.cache/knapsack}.
     */
    public static Options usual() {
      return new Options(
          OptionalInt.empty(),
          1,
          Optional.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          Optional.empty(),
          Compute.Precision.EIGHT_BIT,
          Optional.empty(),
          false,
          usualCache(),
          LoadProgress.NONE);
    }

    private static Path usualCache() {
      String given = System.getenv("XDG_CACHE_HOME");
      Path base =
          given != null && !given.isBlank()
              ? Path.of(given)
              : Path.of(System.getProperty("user.home"), ".cache");
      return base.resolve("knapsack");
    }

    public Options withContext(int tokens) {
      return new Options(
          OptionalInt.of(tokens),
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withSequences(int count) {
      return new Options(
          context,
          count,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withCacheFormat(Format format) {
      return new Options(
          context,
          sequences,
          Optional.of(format),
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withPrefillChunk(int tokens) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          OptionalInt.of(tokens),
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withWorkers(int count) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          OptionalInt.of(count),
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withKernels(KernelProvider provider) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          Optional.of(provider),
          precision,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withPrecision(Compute.Precision value) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          value,
          plan,
          wholeProcess,
          cache,
          progress);
    }

    public Options withPlan(Plan given) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          Optional.of(given),
          wholeProcess,
          cache,
          progress);
    }

    public Options withWholeProcess(boolean value) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          value,
          cache,
          progress);
    }

    public Options withCache(Path folder) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          folder,
          progress);
    }

    public Options withProgress(LoadProgress listener) {
      return new Options(
          context,
          sequences,
          cacheFormat,
          prefillChunk,
          workers,
          kernels,
          precision,
          plan,
          wholeProcess,
          cache,
          listener);
    }

    int workerCount() {
      return workers.orElse(Runtime.getRuntime().availableProcessors());
    }

    KernelProvider.Choice kernelChoice() {
      return kernels.map(KernelProvider::open).orElseGet(KernelProvider::best);
    }
  }

  private final ModelFile file;
  private final Engine engine;
  private final Tokenizer tokenizer;
  private final ChatTemplate template;

  private Knapsack(ModelFile file, Engine engine, Tokenizer tokenizer, ChatTemplate template) {
    this.file = file;
    this.engine = engine;
    this.tokenizer = tokenizer;
    this.template = template;
  }

  /**
   * Opens a model: a GGUF file.
   *
   * @throws dev.knapsack.file.ModelFileException if it cannot be read or is not supported
   * @throws dev.knapsack.plan.PlanDoesNotFitException if it fits in the budget in no way: says how
   *     many bytes are missing, and what would fit
   */
  public static Knapsack open(Path model, Budget budget) {
    return open(model, budget, Options.usual());
  }

  /**
   * Opens a model as asked for.
   *
   * @throws dev.knapsack.engine.PlanMismatchException if a plan was given that is not for this
   *     model
   * @throws dev.knapsack.memory.BudgetExceededException if a plan was given that does not fit
   */
  public static Knapsack open(Path model, Budget budget, Options options) {
    ModelFile file = ModelFile.open(model);
    try {
      Tokenizer tokenizer = Tokenizer.of(file);
      ChatTemplate template =
          file.metadata()
              .findString("tokenizer.chat_template")
              .map(ChatTemplate::of)
              .orElseGet(ChatTemplate::chatMl);
      KernelProvider.Choice kernels = options.kernelChoice();
      Plan plan = options.plan().orElseGet(() -> plan(file, budget, options, kernels));
      Engine engine =
          Engine.open(
              file,
              tokenizer,
              plan,
              budget,
              new Engine.Options(kernels, options.precision(), options.progress()));
      return new Knapsack(file, engine, tokenizer, template);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /**
   * The plan by which {@link #open(Path, Budget, Options)} would open a model, from its header; no
   * weights are loaded.
   *
   * @throws dev.knapsack.plan.PlanDoesNotFitException if it fits in the budget in no way
   */
  public static Plan plan(Path model, Budget budget, Options options) {
    try (ModelFile file = ModelFile.open(model)) {
      return plan(file, budget, options, options.kernelChoice());
    }
  }

  private static Plan plan(
      ModelFile file, Budget budget, Options options, KernelProvider.Choice kernels) {
    ModelSpec spec = Families.spec(file);
    int workers = options.workerCount();
    Machine machine;
    try (WorkerTeam team = new WorkerTeam(workers)) {
      machine =
          new MachineCache(options.cache())
              .machine(file, kernels.kernels(), team, budget.account("probe"));
    }
    JvmShare jvm =
        options.wholeProcess() ? JvmShare.ofThisProcess(workers) : JvmShare.ofGuest(workers);
    PlanRequest request =
        new PlanRequest(
            budget.free(),
            options.context(),
            options.sequences(),
            workers,
            options.cacheFormat(),
            options.prefillChunk());
    return new Planner(file, spec, machine, kernels.kernels(), jvm).plan(request);
  }

  /** What got which bytes, and what speed to expect. */
  public Plan plan() {
    return engine.plan();
  }

  public ModelSpec spec() {
    return engine.spec();
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** The model's chat template; ChatML if it has none. */
  public ChatTemplate template() {
    return template;
  }

  public Budget budget() {
    return engine.budget();
  }

  /** The engine, for all that is not text in and text out. */
  public Engine engine() {
    return engine;
  }

  /** A conversation. */
  public Chat chat() {
    return new Chat(engine.session(), tokenizer, template, null);
  }

  /** A conversation that begins with instructions to the model. */
  public Chat chat(String system) {
    return new Chat(engine.session(), tokenizer, template, system);
  }

  /** Continues a text, without a template; the answer is written as its text is taken. */
  public Answer complete(String text) {
    return complete(text, request -> request);
  }

  /**
   * Continues a text, with a request that is adjusted: {@code complete("Once", r ->
   * r.withMaxTokens(50))}.
   */
  public Answer complete(String text, UnaryOperator<Request> adjust) {
    return engine.start(adjust.apply(Request.of(tokenizer.encode(text, true, false))));
  }

  /** Ends all answers and gives every byte back. */
  @Override
  public void close() {
    try (file) {
      engine.close();
    }
  }
}
