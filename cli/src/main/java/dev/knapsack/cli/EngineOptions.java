package dev.knapsack.cli;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.store.PrefixFolder;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.error.PlanFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.Footprint;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.serve.Served;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say what the model is opened with: the budget, and what is not left to the plan. */
final class EngineOptions {
  /** Sequences of a server at once, if the user does not say. */
  private static final int MOST_SEQUENCES = 16;

  private static final String VECTORS = "jdk.incubator.vector";

  private final Environment environment;

  @Option(
      names = {"-m", "--memory"},
      paramLabel = "SIZE",
      description =
          "Bytes that the whole process may have resident, such as 2GiB or 768MiB. Default: the"
              + " container's limit or the free memory, less a tenth and at least 64 MiB.")
  private @Nullable Budget memory;

  @Option(
      names = {"-c", "--ctx", "--context"},
      paramLabel = "TOKENS",
      description =
          "Tokens that a conversation may hold (default: what the model was trained for, at most"
              + " 4096).")
  private @Nullable Integer context;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      description =
          "Sequences that run at once (default: 1; a server has as many, up to 16, as cost no"
              + " speed).")
  private @Nullable Integer sequences;

  @Option(
      names = "--kv",
      paramLabel = "RECIPE",
      description = "Tokens that are kept: 'help kv' (default: full).")
  private KvRecipe recipe = KvRecipe.FULL;

  @Option(
      names = "--kv-format",
      paramLabel = "FORMAT",
      description = "Their form: 'help kv' (default: f16, if it fits).")
  private @Nullable KvChoice kv;

  @Option(
      names = "--kv-recent",
      paramLabel = "TOKENS",
      description =
          "How many of the last tokens the KV cache keeps in f16 all the same (default: 64 beside"
              + " four bits of the plan's choice, else 0).")
  private @Nullable Integer kvRecent;

  @Option(
      names = "--kv-rotate",
      negatable = true,
      description =
          "Rotate keys and values, so that outliers cost coarse formats less (default: with four"
              + " bits of the plan's choice).")
  private @Nullable Boolean kvRotate;

  @Option(
      names = "--kv-reorder",
      description =
          "Put the channels of keys and values in the order of their size as the weights tell it,"
              + " so that those that share a scale are alike; in place of --kv-rotate, where all"
              + " channels differ and heads are longer than blocks.")
  private boolean kvReorder;

  @Option(
      names = "--kv-resident",
      paramLabel = "TOKENS",
      description =
          "How many of the last tokens the KV cache keeps in memory at the least; earlier ones go"
              + " to disk and are read in every step. 0 keeps all (default: all; fewer only where"
              + " an asked-for --context fits in no other way).")
  private @Nullable Integer kvResident;

  @Option(
      names = "--kv-spill",
      paramLabel = "DIR",
      description =
          "Folder on a disk for what of the KV cache has no room in memory (default: spill in"
              + " Knapsack's cache folder). Nothing is left there.")
  private @Nullable Path kvSpill;

  @Option(
      names = "--reproducible",
      description =
          "Compute every answer as if it were alone, so that it is the same, bit for bit, whatever"
              + " is written beside it. Answers with --seed always are.")
  private boolean reproducible;

  @Option(
      names = "--no-prefix-cache",
      description =
          "Compute every prompt from its first token, even if another sequence has begun with the"
              + " same.")
  private boolean noPrefixes;

  @Option(
      names = "--cache-dir",
      paramLabel = "DIR",
      description =
          "Folder in which the beginnings of prompts are kept, so that they need not be computed"
              + " again after a restart (default, with --cache-disk: prefixes in Knapsack's cache"
              + " folder; without, none).")
  private @Nullable Path cacheDir;

  @Option(
      names = "--cache-disk",
      paramLabel = "SIZE",
      description =
          "Bytes that this folder may take, such as 20GiB; what was used longest ago is deleted"
              + " first (default, with --cache-dir: 16GiB).")
  private @Nullable String cacheDisk;

  @Option(
      names = "--itl",
      paramLabel = "MS",
      description =
          "Target for the time between two tokens of an answer: prompts are read beside it in steps"
              + " that are no longer, in milliseconds (default: prompts are read as fast as can"
              + " be).")
  private @Nullable Integer betweenTokens;

  @Option(
      names = "--prefill-chunk",
      paramLabel = "TOKENS",
      description = "Tokens of a prompt in one step (default: planned).")
  private @Nullable Integer prefillChunk;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      description = "Threads that compute (default: one a core).")
  private @Nullable Integer threads;

  @Option(
      names = "--kernels",
      paramLabel = "PROVIDER",
      description = "scalar, vector or x86 (default: the fastest that works here).")
  private @Nullable KernelProvider kernels;

  @Option(
      names = "--activations",
      paramLabel = "KIND",
      description =
          "What activations are where weights are in blocks: float, or eight_bit (default: what is"
              + " fastest).")
  private Compute.@Nullable Precision activations;

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description =
          "Use this plan, as 'plan --save' wrote it, instead of making one; of the options above"
              + " only --memory and --kv-spill still count.")
  private @Nullable Path plan;

  private boolean parseSpecial;
  private boolean constraints;
  private boolean serving;

  EngineOptions(Environment environment) {
    this.environment = environment;
  }

  /** At least so many sequences, if the user did not ask for more. */
  void useSequences(int count) {
    if (sequences == null || sequences > 0) { // else it is refused as it was given
      sequences = Math.max(sequences == null ? 1 : sequences, count);
    }
  }

  /** Every prompt is computed from its first token. */
  void usePrefixes(boolean value) {
    noPrefixes = !value;
  }

  /** Special tokens that are written out in messages are read as such. */
  void useParseSpecial(boolean value) {
    parseSpecial = value;
  }

  /** Answers will be held to constraints, for which memory is planned. */
  void useConstraints() {
    constraints = true;
  }

  /** Many callers come at once, any of whom may bring a constraint. */
  void useServing() {
    serving = true;
    useConstraints();
  }

  /** Takes so much context, if the user did not ask for another. */
  void useContext(int tokens) {
    if (context == null) {
      context = tokens;
    }
  }

  /**
   * The model's path. What no model could be opened with is refused first: fetching one takes long.
   */
  Path path(ModelArgument model) throws IOException, InterruptedException {
    options();
    return model.path();
  }

  /** The context that a model gets when the user asks for none and the budget has room. */
  int usualContext(Path model) {
    try (ModelFile file = ModelFile.open(model)) {
      return Math.min(Families.spec(file).context(), PlanRequest.USUAL_CONTEXT);
    }
  }

  /** The context that the user asked for. */
  OptionalInt context() {
    return context == null ? OptionalInt.empty() : OptionalInt.of(context);
  }

  /**
   * Opens a model within the budget, with so much context whatever the user asked for, and options
   * that are changed once more.
   */
  Knapsack open(Path model, UnaryOperator<Options> change, int tokens) {
    Options options = change.apply(options()).withContext(tokens);
    return Knapsack.open(model, host(null), options);
  }

  /** Opens a model within the budget, with a progress bar while it loads. */
  Knapsack open(Path model) throws IOException {
    return open(model, Knapsack::open);
  }

  /** A way to open a model of some kind. */
  interface Opening<T> {
    T open(Path model, Host host, Options options);
  }

  /** Opens a model of some kind likewise. */
  <T> T open(Path model, Opening<T> opening) throws IOException {
    try (ProgressBar bar = environment.progress("loading")) {
      Plan given = given(model);
      Options options = options().withProgress(bar::update);
      return opening.open(model, host(given), given == null ? options : options.withPlan(given));
    }
  }

  /** The kind of requests that a model is for, by its header. */
  static Served.Kind kind(Path model) {
    try (ModelFile file = ModelFile.open(model)) {
      Encoding encoding = Families.spec(file).encoding();
      return encoding == null
          ? Served.Kind.CHAT
          : encoding.scores() ? Served.Kind.RERANK : Served.Kind.EMBEDDING;
    }
  }

  /** The host of models that are served together. */
  Host shared(Collection<Path> models) throws IOException {
    return host(models.size() == 1 ? given(models.iterator().next()) : null);
  }

  /**
   * Opens a model to be served, with a progress bar while it loads.
   *
   * @param share its name among others; empty if it has the host to itself
   */
  Knapsack open(Path model, Host host, String share) throws IOException {
    Options options = options(share);
    Plan given = given(model);
    options =
        given != null
            ? options.withPlan(given)
            : sequences == null ? withSequencesThatFit(model, host, options) : options;
    try (ProgressBar bar = environment.progress("loading")) {
      return Knapsack.open(model, host, options.withProgress(bar::update));
    }
  }

  private Options options(String share) {
    return share.isEmpty() ? options() : options().withShare(new Host.Share(share, 0, 1));
  }

  /**
   * Opens a model that encodes likewise. What is asked for of conversations is not for it, and of
   * more context than it was trained for it has what it has.
   */
  <T> T openEncoder(Path model, Host host, String share, Opening<T> opening) throws IOException {
    Options options = options(share).withSequences(1).withConstraints(false);
    if (context != null) {
      try (ModelFile file = ModelFile.open(model)) {
        options = options.withContext(Math.min(context, Families.spec(file).context()));
      }
    }
    Plan given = given(model);
    try (ProgressBar bar = environment.progress("loading")) {
      return opening.open(
          model,
          host,
          (given == null ? options : options.withPlan(given)).withProgress(bar::update));
    }
  }

  /** As many sequences as leave a single one as fast as if it were alone. */
  private static Options withSequencesThatFit(Path model, Host host, Options options) {
    double alone = Knapsack.plan(model, host, options).prediction().decodeTokensPerSecond();
    for (int count = MOST_SEQUENCES; count > 1; count /= 2) {
      Options several = options.withSequences(count);
      try {
        Plan plan = Knapsack.plan(model, host, several);
        if (plan.prediction().decodeTokensPerSecond() >= 0.95 * alone) {
          return several.withPlan(plan);
        }
      } catch (PlanDoesNotFitException e) {
        // fewer may
      }
    }
    return options;
  }

  /** The plan by which {@link #open} would open a model; nothing is loaded. */
  Plan plan(Path model) throws IOException {
    Plan given = given(model);
    return given == null ? Knapsack.plan(model, host(null), options()) : given;
  }

  /** The budget asked for, else that of the plan, else the usual. */
  private Budget budget(@Nullable Plan given) {
    if (memory != null) {
      return memory;
    }
    return Budget.ofBytes(given == null ? Footprint.defaultBudget() : given.budget());
  }

  /** The host of the model: alone in this process, whose memory is what counts. */
  private Host host(@Nullable Plan given) {
    KernelProvider.Choice choice = kernels == null ? KernelProvider.best() : kernels.open();
    noteWhatIsMissing();
    return new Host(
        budget(given),
        Host.Options.of(choice)
            .withWholeProcess(true)
            .withServing(serving)
            .withCache(environment.cache()));
  }

  /** Says once what it goes on without. */
  private void noteWhatIsMissing() {
    PrintStream err = environment.streams().err();
    // A jar's manifest cannot ask for it, as the launcher does.
    if (ModuleLayer.boot().findModule(VECTORS).isEmpty() && kernels != KernelProvider.SCALAR) {
      err.printf("knapsack: slower than it could be: start Java with --add-modules %s%n", VECTORS);
    }
    Path cache = environment.cache();
    if (!isWritable(cache)) {
      err.printf(
          "knapsack: %s cannot be written: the machine's speed is measured at every start%n",
          cache);
    }
  }

  private static boolean isWritable(Path folder) {
    try {
      Files.createDirectories(folder);
      return Files.isWritable(folder);
    } catch (IOException notThere) {
      return false;
    }
  }

  private Options options() {
    Options options =
        Options.usual()
            .withSequences(sequences == null ? 1 : sequences)
            .withPrefixes(!noPrefixes)
            .withReproducible(reproducible)
            .withParseSpecial(parseSpecial)
            .withConstraints(constraints);
    if (context != null) {
      options = options.withContext(context);
    }
    if (recipe.policy().isEmpty() && kv != null && kv.format().isPresent()) {
      throw new IllegalArgumentException(
          "--kv auto leaves the format to the plan, and --kv-format names %s. Give one of them."
              .formatted(kv.format().get().describe()));
    }
    KvChoice formats = kv == null ? KvChoice.USUAL : kv;
    KvChoice cache = recipe.policy().map(formats::withPolicy).orElse(KvChoice.AUTO);
    if (kvRecent != null) {
      cache = cache.withRecent(kvRecent);
    }
    if (kvRotate != null) {
      cache = cache.withTransform(kvRotate ? KvTransform.ROTATED : KvTransform.NONE);
    }
    if (kvReorder) {
      if (kvRotate != null && kvRotate) {
        throw new IllegalArgumentException(
            "--kv-rotate and --kv-reorder exclude each other: rotated channels are all alike. Give"
                + " one of them.");
      }
      cache = cache.withTransform(KvTransform.REORDERED);
    }
    if (kvResident != null) {
      cache = cache.withResident(kvResident);
    }
    options = options.withCacheFormat(cache);
    if (kvSpill != null) {
      options = options.withSpill(kvSpill);
    }
    if (cacheDir != null || cacheDisk != null) {
      options =
          options.withPrefixStore(
              cacheDir == null ? environment.cache().resolve("prefixes") : cacheDir,
              cacheDisk == null ? PrefixFolder.USUAL_BYTES : Budget.parseSize(cacheDisk));
    }
    if (betweenTokens != null) {
      options = options.withTimeBetweenTokens(Duration.ofMillis(betweenTokens));
    }
    if (prefillChunk != null) {
      options = options.withPrefillChunk(prefillChunk);
    }
    if (threads != null) {
      options = options.withWorkers(threads);
    }
    if (activations != null) {
      options = options.withPrecision(activations);
    }
    return options;
  }

  /** The plan in the file that the user named, or null if they named none. */
  private @Nullable Plan given(Path model) throws IOException {
    if (plan == null) {
      return null;
    }
    try (ModelFile file = ModelFile.open(model)) {
      Plan read = Plan.ofJson(Files.readString(plan));
      String name = Families.spec(file).name();
      if (!read.model().equals(name)) {
        throw new UnusableFileException(
            "%s is a plan for %s, not for %s. 'knapsack plan MODEL --save FILE' makes one."
                .formatted(plan, read.model(), name));
      }
      return read;
    } catch (PlanFileException | CharacterCodingException e) {
      throw new UnusableFileException(
          "%s: %s. 'knapsack plan MODEL --save FILE' writes one that can be used."
              .formatted(plan, e.getMessage()),
          e);
    }
  }
}
