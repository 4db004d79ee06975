package dev.knapsack.engine;

import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.SequenceText;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.cache.store.PrefixFolder;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.SequencesExceededException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Rung;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Run;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.FlightRecording;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.Limits;
import dev.knapsack.planner.MachineProbe;
import dev.knapsack.planner.StepWork;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A model that is open: its weights where the plan puts them, and room for the sequences that it
 * writes.
 *
 * <p>Everything it holds is leased from one budget, in the accounts {@code jvm}, {@code weights},
 * {@code kv} and {@code activations}, and given back when it is closed. A request's cache is taken
 * from the budget before anything is computed, and what was admitted is finished. Tokens that its
 * prompt begins with and that another sequence has computed are not computed again; they are kept
 * in the account {@code kv/prefixes} as long as nobody needs the memory. When there is no sequence
 * left, idle sessions give theirs back; then requests wait; and when too many do, they are refused.
 * Safe for use by many threads.
 */
public final class Engine implements AutoCloseable {
  /** The choices in opening an engine: a value that {@code with…} derives others from. */
  public static final class Options {
    /** Requests that may wait unless said otherwise: their prompts are a few megabytes of heap. */
    public static final int USUAL_QUEUE = 64;

    /**
     * A folder for prefixes, which other engines may use too.
     *
     * @param bytes bytes of all its files together, whatever model they are of
     */
    public record PrefixPlace(Path folder, long bytes) {
      public PrefixPlace {
        if (bytes < 0) {
          throw new IllegalArgumentException(
              "Prefixes may take %,d bytes of disk; give 0 or more.".formatted(bytes));
        }
      }
    }

    private Optional<Compute.Precision> precision = Optional.empty();
    private int queue = USUAL_QUEUE;
    private boolean prefixes = true;
    private boolean sharedPrefixes;
    private Optional<PrefixPlace> prefixStore = Optional.empty();
    private boolean reproducible;
    private double betweenTokens = Double.POSITIVE_INFINITY;
    private Path spill = Path.of(System.getProperty("java.io.tmpdir"));
    private Host.Share share = Host.Share.USUAL;
    private Host.LoadProgress progress = Host.LoadProgress.NONE;

    private Options() {}

    /** A queue and prefixes, and for what is written to disk the folder of the system. */
    public static Options usual() {
      return new Options();
    }

    private Options with(Consumer<Options> change) {
      Options copy = new Options();
      copy.precision = precision;
      copy.queue = queue;
      copy.prefixes = prefixes;
      copy.sharedPrefixes = sharedPrefixes;
      copy.prefixStore = prefixStore;
      copy.reproducible = reproducible;
      copy.betweenTokens = betweenTokens;
      copy.spill = spill;
      copy.share = share;
      copy.progress = progress;
      change.accept(copy);
      return copy;
    }

    /**
     * The form of activations when they meet weights in a block format; by default that which the
     * host's arithmetic is fastest with.
     */
    public Options withPrecision(Compute.Precision value) {
      return with(o -> o.precision = Optional.of(value));
    }

    /** Requests that may wait for a sequence; 0 refuses them at once. */
    public Options withQueue(int value) {
      return with(o -> o.queue = value);
    }

    /**
     * Looks a prompt up among what other sequences have computed, which is kept as long as nobody
     * needs its memory.
     */
    public Options withPrefixes(boolean value) {
      return with(o -> o.prefixes = value);
    }

    /** Finds prefixes whichever tenant has asked; by default each finds its own alone. */
    public Options withSharedPrefixes(boolean value) {
      return with(o -> o.sharedPrefixes = value);
    }

    /** Keeps prefixes here beyond memory, and when the engine is closed. */
    public Options withPrefixStore(PrefixPlace value) {
      return with(o -> o.prefixStore = Optional.of(value));
    }

    /**
     * Has no answer depend, in rounding, on what is computed beside it; by default that is so of
     * answers whose request names a seed.
     */
    public Options withReproducible(boolean value) {
      return with(o -> o.reproducible = value);
    }

    /**
     * Seconds between two tokens of an answer that reading other prompts should not exceed;
     * infinite to read them as fast as can be.
     */
    public Options withBetweenTokens(double value) {
      return with(o -> o.betweenTokens = value);
    }

    /** A folder for what of the KV cache the plan has no memory for. */
    public Options withSpill(Path value) {
      return with(o -> o.spill = value);
    }

    /** The form of activations when they meet weights in a block format. */
    Compute.Precision precision(KernelProvider.Choice kernels) {
      return precision.orElse(kernels.kernels().products().precision());
    }

    Host.LoadProgress progress() {
      return progress;
    }

    /** The part in the budget. */
    public Host.Share share() {
      return share;
    }

    /** Bytes of memory beside what is planned. */
    public long unplanned() {
      return prefixStore.isPresent() && prefixes ? PrefixFolder.MEMORY : 0;
    }

    /** A part in the budget where other tenants of the host want the same bytes. */
    public Options withShare(Host.Share value) {
      return with(o -> o.share = value);
    }

    /** Is told how far loading has come. */
    public Options withProgress(Host.LoadProgress value) {
      return with(o -> o.progress = value);
    }
  }

  /** A use of the logits of one position. */
  @FunctionalInterface
  public interface LogitsUse {
    /**
     * {@code logits} are F32, one for each token of the vocabulary, valid during the call: what the
     * model expects after the token at {@code position}.
     */
    void accept(int position, MemorySegment logits);
  }

  private final Plan plan;
  private final Budget budget;
  private final ModelSpec spec;
  private final @Nullable Tokenizer tokenizer;
  private final KernelProvider.Choice kernels;

  /** The form of activations in the products that most weights are in. */
  private final Compute.Precision productPrecision;

  private final StepWork work;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private final PlannedWeights weights;
  private final Compute compute;
  private final Transformer transformer;
  private final Account kv;
  private final Account activations;
  private final Account constraint;
  private final KvPool pool;
  private final PrefixTree prefixes;

  /** The place of prefixes beyond memory, and their writer; null where there is none. */
  private final @Nullable PrefixFolder folder;

  private final @Nullable PrefixWriter writer;
  private final Path spill;
  private final Scheduler scheduler;

  /** One text's logits at a time: what they need beside the plan is needed once. */
  private final ReentrantLock texts = new ReentrantLock(true);

  /**
   * See {@link #open}.
   *
   * @param clock nanoseconds since some moment; who turns it wakes the {@link #loop}
   */
  Engine(
      ModelFile file,
      @Nullable Tokenizer tokenizer,
      Plan plan,
      Host host,
      Options options,
      LongSupplier clock) {
    this.plan = plan;
    this.budget = host.budget();
    this.tokenizer = tokenizer;
    this.kernels = host.kernels();
    Compute.Precision precision = options.precision(kernels);
    this.spill = options.spill;
    boolean codes =
        MachineProbe.formats(file).stream().findFirst().orElse(null) instanceof BlockFormat;
    this.productPrecision = codes ? precision : Compute.Precision.FLOAT;
    this.spec = Families.spec(file, plan.context());
    if (spec.readsWholeTexts() && plan.prefillChunk() < plan.context()) {
      throw new PlanMismatchException(
          "The plan has steps of %,d tokens, and %s computes a text of up to %,d in one; plan anew."
              .formatted(plan.prefillChunk(), spec.name(), plan.context()));
    }
    Plan.Cache cache =
        plan.cache().withPolicy(ModelCompanions.given(plan.cache().policy(), file, spec));
    try {
      Host.Tenant tenant = hold(host.enter(options.share));
      this.kv = tenant.account("kv");
      checkRoom(plan, host, tenant.account("weights"));
      tenant.reserveJvm(plan.bytes("jvm"));
      int tokens = Math.max(plan.prefillChunk(), plan.sequences());
      KvLayout layout = cache.layout(spec);
      // The plan's bytes: for what sequences are promised and what they share, together.
      long most =
          Math.multiplyExact(plan.sequences(), layout.bytes(plan.context(), plan.prefillChunk()));
      this.work = new StepWork(file, spec, cache);
      this.pool = hold(new KvPool(layout, kv, most, options.spill));
      if (tokenizer != null && layout.policy().wantsSentences()) {
        pool.sentenceEnds(SentenceEnds.of(tokenizer));
      }
      this.folder =
          options
              .prefixStore
              .filter(place -> options.prefixes && spec.diffusion() == null)
              .map(place -> folder(place, file, precision))
              .orElse(null);
      this.prefixes = hold(new PrefixTree(pool, kv.part("prefixes"), folder));
      this.activations = tenant.account("activations");
      WorkerTeam team = tenant.team(plan.workers());
      this.compute =
          hold(
              new Compute(
                  kernels.kernels(), team, precision, spec.limits(tokens, layout), activations));
      pool.workers(team);
      Workspace workspace =
          hold(
              new Workspace(
                  spec, layout, tokens, spec.logitRows(tokens, plan.sequences()), activations));
      pool.bases(workspace.bases());
      this.weights =
          hold(
              new PlannedWeights(
                  file, spec, plan.weights(), tenant.account("weights"), team, options.progress));
      this.transformer = transformer(workspace);
      this.constraint = tenant.account("constraint");
      // Rows of the embedding that are no token are never an answer.
      int vocabulary =
          tokenizer == null ? spec.vocabulary() : Math.min(spec.vocabulary(), tokenizer.size());
      this.scheduler =
          new Scheduler(
              new Scheduler.Resources(
                  spec.name(),
                  vocabulary,
                  tokenizer,
                  spec.readsWholeTexts(),
                  hold(new LazyMasks(tokenizer, vocabulary, constraint, plan.bytes("constraint"))),
                  spec.diffusion(),
                  team,
                  new CachePools(file, spec, tokenizer, plan.cache(), pool, workspace),
                  prefixes,
                  kv,
                  secondsPerByte(plan, layout),
                  pace(plan, options),
                  new Scheduler.Limits(
                      plan.context(),
                      plan.sequences(),
                      plan.prefillChunk(),
                      Math.min(plan.prefillChunk(), pace(plan, options).rows()),
                      tokens,
                      spec.logitRows(tokens, plan.sequences()),
                      options.queue,
                      options.prefixes,
                      options.sharedPrefixes,
                      options.reproducible),
                  of -> CacheIdentity.of(file, spec, of),
                  clock),
              this::forward);
      hold(budget.onPressure(Rung.DROP_PREFIXES, kv, scheduler));
      this.writer = folder == null ? null : new PrefixWriter(loop(), prefixes.backlog(), folder);
      loop().start();
      if (writer != null) {
        writer.start();
      }
    } catch (RuntimeException | Error e) {
      closeAll(held);
      throw e;
    }
  }

  /**
   * Loads a model as its plan says, in a host that it shares with others.
   *
   * @param file stays open until the engine is closed, and is left to its owner
   * @param tokenizer turns tokens into text; without one an answer has tokens only
   * @throws PlanMismatchException if the plan is not for this file
   * @throws BudgetExceededException if what the plan wants does not fit in what the budget has free
   * @throws dev.knapsack.error.ModelFileException if the model cannot be read or is not supported
   */
  public static Engine open(
      ModelFile file, @Nullable Tokenizer tokenizer, Plan plan, Host host, Options options) {
    PlanEvent event = FlightRecording.isOn() ? new PlanEvent(plan) : null;
    Engine engine = new Engine(file, tokenizer, plan, host, options, System::nanoTime);
    if (event != null) {
      event.commit();
    }
    return engine;
  }

  /** Refuses a plan that does not fit, before others give anything back for a part of it. */
  static void checkRoom(Plan plan, Host host, Account weights) {
    // Caches are leased as sequences are admitted, masks as they are made.
    long wanted =
        plan.bytes()
            - plan.bytes("kv")
            - plan.bytes("constraint")
            - plan.bytes("jvm")
            + host.missingJvm(plan.bytes("jvm"));
    weights.checkRoom(wanted);
  }

  /** A folder of prefixes, with memory for what is read and written. */
  private PrefixFolder folder(
      Options.PrefixPlace place, ModelFile file, Compute.Precision precision) {
    Lease memory = hold(kv.part("prefix-files").lease(PrefixFolder.MEMORY));
    return hold(
        new PrefixFolder(
            place.folder(),
            place.bytes(),
            memory.segment(),
            layout -> CacheIdentity.of(file, spec, layout),
            CacheIdentity.arithmetic(kernels.reason(), precision, plan)));
  }

  /** Time that it takes to compute cached tokens again, for each byte that they take. */
  private static double secondsPerByte(Plan plan, KvLayout layout) {
    double tokensPerByte =
        (double) plan.context() / Math.max(1, layout.bytes(plan.context(), plan.prefillChunk()));
    return tokensPerByte / Math.max(1e-9, plan.prediction().prefillTokensPerSecond());
  }

  private static StepPace pace(Plan plan, Options options) {
    return new StepPace(
        options.betweenTokens,
        1 / Math.max(1e-9, plan.prediction().decodeTokensPerSecond()),
        1 / Math.max(1e-9, plan.prediction().prefillTokensPerSecond()));
  }

  private <T extends AutoCloseable> T hold(T resource) {
    return hold(held, resource);
  }

  static <T extends AutoCloseable> T hold(Deque<AutoCloseable> held, T resource) {
    held.push(resource);
    return resource;
  }

  private Matrix forward(List<Run> runs) {
    pool.compact(); // no cache is in use between steps
    return forward(transformer, runs);
  }

  private Matrix forward(Transformer in, List<Run> runs) {
    weights.expectOutput(runs.stream().anyMatch(r -> r.logits() > 0));
    return in.forward(runs);
  }

  public ModelSpec spec() {
    return spec;
  }

  public Plan plan() {
    return plan;
  }

  public Budget budget() {
    return budget;
  }

  /**
   * The resident set that the plan predicts of a process that has had no more to do than this, in
   * bytes. What is planned for a full context and for steps of full length is touched only as far
   * as it is used.
   *
   * @param promptTokens tokens of the longest prompt
   * @param tokens tokens of its answer
   * @param samples answers that were written at once
   */
  public long predictedPeak(int promptTokens, int tokens, int samples) {
    long whole = plan.bytes();
    long jvm = plan.bytes("jvm");
    int length = Math.min(plan.context(), promptTokens + tokens);
    int read = spec.readsWholeTexts() ? samples * length : promptTokens;
    int step = Math.clamp(read, 1, plan.prefillChunk());
    Checkpoints kept = pool.layout().checkpoints();
    int copies = Checkpoints.USUAL.count() + length / Math.max(1, kept.distance());
    KvLayout layout = pool.layout().withCheckpoints(kept.withCount(Math.min(kept.count(), copies)));
    long cache = samples * layout.bytes(length, plan.prefillChunk());
    int rows = Math.max(step, samples);
    long activations =
        Workspace.bytes(spec, pool.layout(), rows, spec.logitRows(rows, samples))
            + Compute.scratchBytes(
                kernels.kernels(),
                plan.workers(),
                kernels.kernels().products().precision(),
                spec.limits(rows, pool.layout()));
    return whole
        - Math.min(jvm, JvmShare.unreached(Math.ceilDiv(promptTokens, step) + tokens))
        - Math.max(0, plan.bytes("kv") - cache)
        - Math.max(0, plan.bytes("activations") - activations)
        // Masks are made where answers go, which nobody can say beforehand.
        - Math.max(0, plan.bytes("constraint") - constraint.peak());
  }

  /** The work that there is to do, and that was done. */
  public Load load() {
    return scheduler.load();
  }

  /** The layout of a sequence's cache: what it holds, and in which formats. */
  public KvLayout kvLayout() {
    return pool.layout();
  }

  /** Bytes that the plan has for what sequences remember, of all of them together. */
  public long cacheBytes() {
    return plan.bytes("kv");
  }

  /** The arithmetic in use, and why. */
  public KernelProvider.Choice kernels() {
    return kernels;
  }

  /**
   * Begins an answer, which is written from now on; while all sequences are busy, it waits.
   *
   * @throws ContextExceededException if the prompt does not fit in the context
   * @throws BudgetExceededException if its cache does not fit in the budget
   * @throws QueueFullException if it would have to wait for a sequence, and too many do
   */
  public Answer start(Request request) {
    return start(request, 1).getFirst();
  }

  /**
   * Begins several answers to one prompt, which is computed once. With a seed the first answer is
   * as if it were alone, and each other as if it were alone with a seed of one more than the one
   * before.
   *
   * @throws SequencesExceededException if there are more than the plan has room for at once; all
   *     else as {@link #start(Request)}
   */
  public List<Answer> start(Request request, int samples) {
    KvPool of = scheduler.pool(request);
    return loop().ask(() -> scheduler.start(request, of, samples));
  }

  /**
   * Refuses a text that cannot fit in the context whatever tokens it has: before it is encoded,
   * which takes the heap a multiple of the text's own bytes.
   *
   * @param characters its length in UTF-16 units
   * @throws ContextExceededException if its tokens and one of an answer cannot be as few as the
   *     plan's context
   */
  public void checkLength(long characters) {
    long fewest = tokenizer == null ? 0 : tokenizer.fewestTokens(characters);
    if (fewest >= plan.context()) {
      throw new ContextExceededException(characters, fewest, plan.context());
    }
  }

  /**
   * The most that this engine's threads can do, measured now, after the step under way: with the
   * weights as what is read, so that no memory is needed for it. Takes about a second.
   */
  public Limits limits() {
    return computing(() ->
        Limits.measure(
            compute.kernels().peak(), compute.team(), productPrecision, weights.residents()));
  }

  /** The bytes that a token has had read of tables on disk, of which steps read rows. */
  public TableReads tableReads() {
    return weights.tableReads();
  }

  /** The least that steps of this engine have to do. */
  public StepWork work() {
    return work;
  }

  /** The beginnings of prompts that are kept, in memory and on disk. */
  public PrefixCounts prefixes() {
    return loop()
        .settle(() ->
            new PrefixCounts(
                prefixes.size(),
                prefixes.bytes(),
                folder == null ? 0 : folder.bytes(),
                folder == null ? 0 : folder.written(),
                folder == null ? 0 : folder.read(),
                scheduler.tokensFound(),
                writer == null ? Optional.empty() : writer.stopped()));
  }

  /** Requests that wait for a sequence now. */
  public int waiting() {
    return loop().settle(scheduler::waiting);
  }

  /** A sequence that is kept between requests. */
  public Session session() {
    return new Session(scheduler);
  }

  /**
   * The logits at every position of a text, in order.
   *
   * @throws ContextExceededException if there are more tokens than the plan's context
   * @throws BudgetExceededException if their cache does not fit in the budget
   */
  public void logits(int[] tokens, LogitsUse use) {
    logits(tokens, 0, use);
  }

  /**
   * The logits at the positions of a text from {@code first} on, in order. Answers are written
   * meanwhile; who asks for the logits of another text waits for the end of this one.
   *
   * @param use is called by the calling thread, and may use the engine
   * @throws IndexOutOfBoundsException if {@code first} is no position of the text
   * @throws ContextExceededException if there are more tokens than the plan's context
   * @throws BudgetExceededException if their cache does not fit in the budget
   */
  public void logits(int[] tokens, int first, LogitsUse use) {
    Objects.checkIndex(first, tokens.length);
    if (tokens.length > plan.context()) {
      throw new ContextExceededException(tokens.length, plan.context());
    }
    try {
      texts.lockInterruptibly();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new WaitInterruptedException();
    }
    try (TextLogits text = loop().ask(() -> new TextLogits(this, tokens, first))) {
      while (!text.done()) {
        computing(text::step).forEach(use);
      }
    } finally {
      texts.unlock();
    }
  }

  /**
   * Reads a prompt, to go on from it as often as wanted: its cache is brought to its size before
   * anything is said after it.
   *
   * @param last is given the logits of its last token
   * @throws ContextExceededException if there are more tokens than the plan's context
   * @throws BudgetExceededException if their cache does not fit in the budget
   */
  public Reading read(int[] prompt, LogitsUse last) {
    return read(prompt, new int[0], last);
  }

  /**
   * The same, with a text that queries to come will be like: see {@link SequenceText#patch}.
   *
   * @param patch its tokens; none if it is not known
   */
  public Reading read(int[] prompt, int[] patch, LogitsUse last) {
    scheduler.checkRemembers();
    Reading reading = Reading.begin(this, pages(kv.part("readings")));
    try {
      reading.readPrompt(prompt, patch, last);
    } catch (RuntimeException | Error e) {
      reading.close();
      throw e;
    }
    return reading;
  }

  /**
   * Takes up what a {@linkplain Reading#save reading has saved}, as a prompt that has been read.
   *
   * @throws dev.knapsack.error.CacheFileException if there is none, or it is damaged or not of this
   *     model opened like this
   * @throws BudgetExceededException if its cache does not fit in the budget
   */
  public Reading restore(CacheStore store, String name) {
    scheduler.checkRemembers();
    Reading reading = Reading.begin(this, pages(kv.part("readings")));
    try {
      reading.restore(store, name);
    } catch (RuntimeException | Error e) {
      reading.close();
      throw e;
    }
    return reading;
  }

  /** Says whether a token marks turns, and is no text. */
  boolean isControl(int token) {
    return tokenizer != null && tokenizer.isControl(token);
  }

  /**
   * The sum of tokens' embeddings.
   *
   * @param shares of each, of which those that are 0 are not read
   */
  float[] embedding(int[] tokens, double[] shares) {
    float[] row = new float[spec.embeddingColumns()];
    float[] sum = new float[row.length];
    Matrix target = new Matrix(Formats.F32, 1, row.length, MemorySegment.ofArray(row));
    loop()
        .alone(() -> {
          for (int i = 0; i < tokens.length; i++) {
            if (shares[i] != 0) {
              weights.gather(ModelSpec.EMBEDDING, new int[] {tokens[i]}, target);
              for (int c = 0; c < row.length; c++) {
                sum[c] += (float) shares[i] * row[c];
              }
            }
          }
          return sum;
        });
    return sum;
  }

  /** The account of what sequences hold. */
  public Account kv() {
    return kv;
  }

  /** The account of what steps need beside. */
  Account activations() {
    return activations;
  }

  /** Pages beside those of sequences: they are leased as they are filled. */
  KvPool pages(Account from) {
    KvPool pages = new KvPool(pool.layout(), from, spill);
    pages.likewise(pool);
    return pages;
  }

  /** The model in another workspace. */
  Transformer transformer(Workspace workspace) {
    return new Transformer(spec, weights, compute, workspace);
  }

  /** The loop on whose thread all that uses the model is done. */
  StepLoop loop() {
    return scheduler.loop();
  }

  /** Does something that computes, in its turn, with the model and the threads for itself. */
  <T> T computing(Supplier<T> work) {
    return loop().alone(() -> compute.team().turn(work));
  }

  /** The fingerprint that tells this engine's caches from all others. */
  Fingerprint fingerprint() {
    return scheduler.fingerprint(kvLayout());
  }

  /** Computes a passage's next tokens, in turn. */
  Passage.Rows step(Passage passage) {
    return step(transformer, passage);
  }

  /** The same in another workspace. */
  Passage.Rows step(Transformer in, Passage passage) {
    return passage.step(runs -> forward(in, runs), compute.team());
  }

  /**
   * Ends all answers after the step under way, writes what prefixes are to be kept and are not on
   * disk yet, and gives every byte back; who asks for {@link #logits} meanwhile is waited for.
   */
  @Override
  public void close() {
    loop().close();
    if (writer != null) {
      writer.finish();
    }
    texts.lock();
    try {
      closeAll(held);
    } finally {
      texts.unlock();
    }
  }

  /** Closes what was opened last first. */
  static void closeAll(Deque<AutoCloseable> held) {
    while (!held.isEmpty()) {
      try {
        held.pop().close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
