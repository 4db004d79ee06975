package dev.knapsack.engine;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.cache.store.Fingerprint;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.BudgetExceededException;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Rung;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Run;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.JvmShare;
import dev.knapsack.plan.Limits;
import dev.knapsack.plan.MachineProbe;
import dev.knapsack.plan.Plan;
import dev.knapsack.plan.StepWork;
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
import java.util.concurrent.atomic.AtomicReference;
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
  /**
   * How an engine is opened.
   *
   * @param kernels the arithmetic
   * @param precision what activations are when they meet weights in a block format
   * @param queue requests that may wait for a sequence; 0 refuses them at once
   * @param prefixes whether a prompt is looked up among what other sequences have computed, which
   *     is kept as long as nobody needs its memory
   * @param spill folder for what of the KV cache the plan has no memory for
   * @param progress is told how far loading has come
   */
  public record Options(
      KernelProvider.Choice kernels,
      Compute.Precision precision,
      int queue,
      boolean prefixes,
      Path spill,
      LoadProgress progress) {
    /** Requests that may wait unless said otherwise: their prompts are a few megabytes of heap. */
    public static final int USUAL_QUEUE = 64;

    public Options {
      if (queue < 0) {
        throw new IllegalArgumentException(
            queue + " requests may wait; give 0 or more, 0 to refuse them at once.");
      }
    }

    /** The fastest arithmetic of this machine. */
    public static Options best() {
      return of(KernelProvider.best());
    }

    /** This arithmetic, with activations as it likes them. */
    public static Options of(KernelProvider.Choice kernels) {
      return new Options(
          kernels,
          kernels.kernels().precision(),
          USUAL_QUEUE,
          true,
          Path.of(System.getProperty("java.io.tmpdir")),
          LoadProgress.NONE);
    }

    /** With other arithmetic, and activations as that likes them. */
    public Options withKernels(KernelProvider.Choice value) {
      return new Options(value, value.kernels().precision(), queue, prefixes, spill, progress);
    }

    public Options withPrecision(Compute.Precision value) {
      return new Options(kernels, value, queue, prefixes, spill, progress);
    }

    public Options withQueue(int value) {
      return new Options(kernels, precision, value, prefixes, spill, progress);
    }

    public Options withPrefixes(boolean value) {
      return new Options(kernels, precision, queue, value, spill, progress);
    }

    public Options withSpill(Path folder) {
      return new Options(kernels, precision, queue, prefixes, folder, progress);
    }

    public Options withProgress(LoadProgress value) {
      return new Options(kernels, precision, queue, prefixes, spill, value);
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

  /** What activations are in the products that most weights are in. */
  private final Compute.Precision productPrecision;

  private final StepWork.Model work;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private final PlannedWeights weights;
  private final Compute compute;
  private final Transformer transformer;
  private final KvPool pool;
  private final Path spill;
  private final Account account;
  private final Scheduler scheduler;

  private Engine(
      ModelFile file, @Nullable Tokenizer tokenizer, Plan plan, Budget budget, Options options) {
    this.plan = plan;
    this.budget = budget;
    this.tokenizer = tokenizer;
    this.kernels = options.kernels();
    this.spill = options.spill();
    boolean codes =
        MachineProbe.formats(file).stream().findFirst().orElse(null) instanceof BlockFormat;
    this.productPrecision = codes ? options.precision() : Compute.Precision.FLOAT;
    this.spec = Families.spec(file, plan.context());
    Plan.Cache cache =
        plan.cache().withPolicy(ModelCompanions.given(plan.cache().policy(), file, spec));
    try {
      held.push(reserveJvm(plan, budget));
      int tokens = Math.max(plan.prefillChunk(), plan.sequences());
      this.account = budget.account("kv");
      KvLayout layout = cache.layout(spec);
      // The plan's bytes: for what sequences are promised and what they share, together.
      long most =
          Math.multiplyExact(plan.sequences(), layout.bytes(plan.context(), plan.prefillChunk()));
      this.work = new StepWork.Model(file, spec, cache);
      this.pool = hold(new KvPool(layout, account, most, options.spill()));
      if (tokenizer != null && layout.policy().wantsSentences()) {
        pool.sentenceEnds(SentenceEnds.of(tokenizer));
      }
      PrefixTree prefixes = hold(new PrefixTree(pool, budget.account("kv/prefixes")));
      Account activations = budget.account("activations");
      WorkerTeam team = hold(new WorkerTeam(plan.workers()));
      this.compute =
          hold(
              new Compute(
                  kernels.kernels(),
                  team,
                  options.precision(),
                  spec.limits(tokens, layout),
                  activations));
      pool.workers(team);
      Workspace workspace =
          hold(new Workspace(spec, layout, tokens, plan.sequences(), activations));
      pool.bases(workspace.bases());
      this.weights =
          hold(
              PlannedWeights.open(
                  file, spec.layers().size(), plan.weights(), budget, options.progress()));
      this.transformer = new Transformer(spec, weights, compute, workspace);
      this.scheduler =
          new Scheduler(
              new Scheduler.Resources(
                  spec.vocabulary(),
                  tokenizer,
                  pool,
                  prefixes,
                  new Scheduler.Limits(
                      plan.context(),
                      plan.sequences(),
                      plan.prefillChunk(),
                      tokens,
                      options.queue(),
                      options.prefixes()),
                  () -> CacheIdentity.of(file, spec, layout)),
              this::forward);
      hold(budget.onPressure(Rung.DROP_PREFIXES, scheduler::reclaim));
    } catch (RuntimeException | Error e) {
      giveBack();
      throw e;
    }
  }

  /**
   * Loads a model as its plan says.
   *
   * @param file stays open until the engine is closed, and is left to its owner
   * @param tokenizer turns tokens into text; without one an answer has tokens only
   * @throws PlanMismatchException if the plan is not for this file
   * @throws BudgetExceededException if what the plan wants does not fit in what the budget has free
   * @throws dev.knapsack.file.ModelFileException if the model cannot be read or is not supported
   */
  public static Engine open(
      ModelFile file, @Nullable Tokenizer tokenizer, Plan plan, Budget budget, Options options) {
    return new Engine(file, tokenizer, plan, budget, options);
  }

  /** Reserves the plan's share of the JVM, but for what another engine has reserved already. */
  private static Lease reserveJvm(Plan plan, Budget budget) {
    long share =
        plan.shares().stream()
            .filter(s -> s.account().equals("jvm"))
            .mapToLong(Plan.Share::bytes)
            .sum();
    Account jvm = budget.account("jvm");
    return jvm.reserve(Math.max(0, share - jvm.used()));
  }

  private <T extends AutoCloseable> T hold(T resource) {
    held.push(resource);
    return resource;
  }

  private Matrix forward(List<Run> runs) {
    weights.expectOutput(runs.stream().anyMatch(r -> r.logits() > 0));
    pool.compact(); // no cache is in use between steps
    return transformer.forward(runs);
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
    long jvm = share("jvm");
    int length = Math.min(plan.context(), promptTokens + tokens);
    int step = Math.clamp(promptTokens, 1, plan.prefillChunk());
    long cache = samples * pool.layout().bytes(length, plan.prefillChunk());
    int rows = Math.max(step, samples);
    long activations =
        Workspace.bytes(spec, pool.layout(), rows, samples)
            + Compute.scratchBytes(
                kernels.kernels(),
                plan.workers(),
                kernels.kernels().precision(),
                spec.limits(rows, pool.layout()));
    return whole
        - Math.min(jvm, JvmShare.unreached(Math.ceilDiv(promptTokens, step) + tokens))
        - Math.max(0, share("kv") - cache)
        - Math.max(0, share("activations") - activations);
  }

  private long share(String account) {
    return plan.shares().stream()
        .filter(s -> s.account().equals(account))
        .mapToLong(Plan.Share::bytes)
        .sum();
  }

  /** What a sequence's cache holds, and in which formats. */
  public KvLayout kvLayout() {
    return pool.layout();
  }

  /** The arithmetic in use, and why. */
  public KernelProvider.Choice kernels() {
    return kernels;
  }

  /** Of the experts that steps needed, the part that was cached; 1 where all are resident. */
  public double expertHitRate() {
    return weights.expertHitRate();
  }

  /**
   * Begins an answer, computing nothing yet; while all sequences are busy, the answer waits.
   *
   * @throws ContextExceededException if the prompt does not fit in the context
   * @throws BudgetExceededException if its cache does not fit in the budget
   * @throws QueueFullException if it would have to wait for a sequence, and too many do
   */
  public Answer start(Request request) {
    return scheduler.start(request, 1).getFirst();
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
    return scheduler.start(request, samples);
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
   * What this engine's threads can do at the most, measured now, after the step under way: with the
   * weights as what is read, so that no memory is needed for it. Takes about a second.
   */
  public Limits limits() {
    AtomicReference<@Nullable Limits> measured = new AtomicReference<>();
    scheduler.exclusively(() ->
        measured.set(
            Limits.measure(
                compute.kernels(), compute.team(), productPrecision, weights.residents())));
    return Objects.requireNonNull(measured.get());
  }

  /** What steps of this engine have to do at the least. */
  public StepWork.Model work() {
    return work;
  }

  /** Requests that wait for a sequence now. */
  public int waiting() {
    return scheduler.waiting();
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
   * The logits at the positions of a text from {@code first} on, in order.
   *
   * @throws IndexOutOfBoundsException if {@code first} is no position of the text
   * @throws ContextExceededException if there are more tokens than the plan's context
   * @throws BudgetExceededException if their cache does not fit in the budget
   */
  public void logits(int[] tokens, int first, LogitsUse use) {
    Objects.checkIndex(first, tokens.length);
    if (tokens.length > plan.context()) {
      throw new ContextExceededException(tokens.length, plan.context());
    }
    scheduler.exclusively(() -> logitsFrom(first, tokens, use));
  }

  private void logitsFrom(int first, int[] tokens, LogitsUse use) {
    KvLayout layout = pool.layout();
    long purse = layout.bytes(tokens.length, plan.prefillChunk());
    try (Lease promise = account.reserve(purse);
        KvPool pages = new KvPool(layout, Budget.ofBytes(promise.bytes()).account("kv"), spill);
        Workspace workspace = workspaceOfRows(Math.min(plan.prefillChunk(), tokens.length));
        KvCache cache = cache(pages)) {
      Transformer all = new Transformer(spec, weights, compute, workspace);
      // What comes before is the prompt, to the end of the step that gives the first logits.
      int most = workspace.tokens();
      cache.prompt(tokens.length);
      int step = most - cache.lookahead(most);
      cache.prompt(Math.min(tokens.length, (first / step + 1) * step));
      for (int from = 0; from < tokens.length; from += step) {
        int to = Math.min(tokens.length, from + step);
        int ahead = cache.lookahead(most, to - from);
        int rows = Math.clamp(to - first, 0, to - from);
        weights.expectOutput(rows > 0);
        Matrix logits = all.forward(List.of(Run.ahead(cache, tokens, from, to, rows, ahead)));
        cache.settle();
        pages.compact();
        for (int row = 0; row < rows; row++) {
          use.accept(
              to - rows + row, logits.data().asSlice(logits.rowOffset(row), logits.rowBytes()));
        }
      }
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
   * The same, with a text that queries to come will be like: see {@link KvCache#patch}.
   *
   * @param patch its tokens; none if it is not known
   */
  public Reading read(int[] prompt, int[] patch, LogitsUse last) {
    Reading reading = Reading.begin(this, readings());
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
   * @throws dev.knapsack.cache.store.CacheFileException if there is none, or it is damaged or not
   *     of this model opened like this
   * @throws BudgetExceededException if its cache does not fit in the budget
   */
  public Reading restore(CacheStore store, String name) {
    Reading reading = Reading.begin(this, readings());
    try {
      reading.restore(store, name);
    } catch (RuntimeException | Error e) {
      reading.close();
      throw e;
    }
    return reading;
  }

  /** Whether a token marks turns, and is no text. */
  boolean isControl(int token) {
    return tokenizer != null && tokenizer.isControl(token);
  }

  /**
   * The sum of tokens' embeddings.
   *
   * @param shares of each, of which those that are 0 are not read
   */
  float[] embedding(int[] tokens, double[] shares) {
    float[] row = new float[spec.width()];
    float[] sum = new float[row.length];
    Matrix target = new Matrix(Formats.F32, 1, row.length, MemorySegment.ofArray(row));
    exclusively(() -> {
      for (int i = 0; i < tokens.length; i++) {
        if (shares[i] != 0) {
          weights.embedding(tokens[i], target, 0);
          for (int c = 0; c < row.length; c++) {
            sum[c] += (float) shares[i] * row[c];
          }
        }
      }
    });
    return sum;
  }

  /** Pages beside those of sequences: they are leased as they are filled. */
  private KvPool readings() {
    KvPool pages = new KvPool(pool.layout(), budget.account("kv/readings"), spill);
    pages.likewise(pool);
    return pages;
  }

  /** A cache beside those of sequences, in pages of its own. */
  private KvCache cache(KvPool pages) {
    pages.likewise(pool);
    return pages.cache();
  }

  /** Runs what needs the model for itself, between steps. */
  void exclusively(Runnable work) {
    scheduler.exclusively(work);
  }

  /** What tells this engine's caches from all others. */
  Fingerprint fingerprint() {
    return scheduler.fingerprint();
  }

  /**
   * Computes tokens of a sequence that no scheduler knows, which must have the model for itself.
   *
   * @param ahead rows after them that the policy looks at
   * @return the logits of the last, if {@code last}
   */
  Matrix step(KvCache cache, int[] tokens, int from, int to, boolean last, int ahead) {
    weights.expectOutput(last);
    int logits = last ? 1 : 0;
    return transformer.forward(List.of(Run.ahead(cache, tokens, from, to, logits, ahead)));
  }

  /** A workspace for logits of as many rows as the budget has room for, {@code rows} at most. */
  private Workspace workspaceOfRows(int rows) {
    Account activations = budget.account("activations");
    while (true) {
      try {
        return new Workspace(spec, pool.layout(), rows, rows, activations);
      } catch (BudgetExceededException e) {
        if (rows == 1) {
          throw e;
        }
        rows /= 2;
      }
    }
  }

  /** Ends all answers after the step under way, and gives every byte back. */
  @Override
  public void close() {
    if (scheduler.close()) {
      giveBack();
    }
  }

  private void giveBack() {
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
