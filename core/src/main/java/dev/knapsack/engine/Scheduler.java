package dev.knapsack.engine;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.constraint.Cursor;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.SequencesExceededException;
import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Offer;
import dev.knapsack.memory.Reclaimer;
import dev.knapsack.model.Diffusion;
import dev.knapsack.os.FlightRecording;
import dev.knapsack.text.StreamDecoder;
import dev.knapsack.text.Tokenizer;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The answers of an engine from their beginning to their end, step by step: {@link Admission} says
 * which of them have a sequence, {@link Batch} what a step computes for them.
 *
 * <p>Used on the thread of its {@link StepLoop} alone, so that nothing in here is locked.
 */
final class Scheduler implements StepLoop.Steps, Reclaimer {
  /**
   * The things that the scheduler has to work with.
   *
   * @param model its name
   * @param wholeTexts whether the model computes texts whole, and caches nothing
   * @param diffusion the way in which the model denoises; null where it does not
   * @param team threads that a step has for itself, of those that models in one host share
   * @param memory what sequences take their memory from
   * @param secondsPerByte it takes to compute again what such a byte holds
   * @param pace the rows of prompts that a step may have beside answers that are being written
   * @param clock nanoseconds since some moment
   */
  record Resources(
      String model,
      int vocabulary,
      @Nullable Tokenizer tokenizer,
      boolean wholeTexts,
      LazyMasks masks,
      @Nullable Diffusion diffusion,
      WorkerTeam team,
      CachePools pools,
      PrefixTree prefixes,
      Account memory,
      double secondsPerByte,
      StepPace pace,
      Limits limits,
      Function<KvLayout, Fingerprint> fingerprint,
      LongSupplier clock) {}

  /**
   * The most of everything.
   *
   * @param context tokens of a sequence
   * @param sequences sequences that hold memory at once
   * @param chunk tokens that a sequence may add in one step
   * @param fixed of these, those of a sequence of which no other may change what is computed
   * @param tokens tokens of a step
   * @param logitRows rows of logits of a step
   * @param queue requests that wait for a sequence
   * @param prefixes whether sequences share what they begin with
   * @param tenants whether they do that whoever asks; else with those of the same tenant
   * @param reproducible whether no answer may depend, in rounding, on what is computed beside it;
   *     else those with a seed of their own may not
   */
  record Limits(
      int context,
      int sequences,
      int chunk,
      int fixed,
      int tokens,
      int logitRows,
      int queue,
      boolean prefixes,
      boolean tenants,
      boolean reproducible) {
    /**
     * Tokens that a sequence adds in one step where others may not change what is computed: as many
     * as there is room for beside a token of every other sequence.
     */
    int fixedChunk() {
      return Math.min(fixed, tokens - (sequences - 1));
    }
  }

  private final Resources resources;
  private final Limits limits;
  private final Batch.Forward forward;
  private final Set<Integer> endTokens;
  private final SplittableRandom seeds = new SplittableRandom();
  private final StepLoop loop = new StepLoop(this);
  private final Admission admission;

  /** Answers that have a sequence and have not ended, those served longest ago first. */
  private final List<Answer> live = new ArrayList<>();

  /** Tokens of prompts of ended answers that were not computed. */
  private long tokensFound;

  private volatile Load load = Load.NONE;

  /** True while caches of sequences are in use, and their pages must stay where they are. */
  private boolean inUse;

  Scheduler(Resources resources, Batch.Forward forward) {
    this.resources = resources;
    this.limits = resources.limits();
    this.forward = forward;
    this.admission = new Admission(resources, loop);
    Tokenizer tokenizer = resources.tokenizer();
    this.endTokens = tokenizer == null ? Set.of() : Set.copyOf(tokenizer.endTokens());
  }

  /** The loop on whose thread all that this scheduler does is done. */
  StepLoop loop() {
    return loop;
  }

  /** The fingerprint that tells the caches of this layout from all others. */
  Fingerprint fingerprint(KvLayout layout) {
    return resources.fingerprint().apply(layout);
  }

  /**
   * The pool that the sequences of a request are to have their pages in, with all else made that it
   * needs: to be asked for by whoever starts it, on whatever thread.
   */
  KvPool pool(Request request) {
    if (request.constraint().isPresent()) {
      resources.masks().get(); // made here, where nobody else waits
    }
    return resources.pools().of(request.cache());
  }

  /** Begins an answer in a session that lives on. */
  Answer start(Session session, Request request, KvPool pool) {
    checkIdle(session);
    Answer answer =
        answer(session, request, pool, request.sampling().seed().orElseGet(seeds::nextLong));
    return enter(List.of(answer), limits.context()).getFirst();
  }

  /**
   * Begins {@code samples} answers to one prompt, which is read once. The seed of each but the
   * first is one more than that of the one before.
   */
  List<Answer> start(Request request, KvPool pool, int samples) {
    if (samples < 1) {
      throw new IllegalArgumentException(samples + " answers asked for; ask for 1 or more.");
    }
    if (samples > limits.sequences()) {
      throw new SequencesExceededException(samples, limits.sequences());
    }
    long seed = request.sampling().seed().orElseGet(seeds::nextLong);
    int most =
        (int) Math.min(limits.context(), (long) request.prompt().length + request.maxTokens());
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < samples; i++) {
      Session session = new Session(this);
      session.closed = true; // nobody else has it: its memory goes when the answer ends
      answers.add(answer(session, request, pool, seed + i));
    }
    return enter(answers, most);
  }

  private Answer answer(Session session, Request request, KvPool pool, long seed) {
    Tokenizer tokenizer = resources.tokenizer();
    request.check(resources.vocabulary(), limits.context(), tokenizer != null);
    if (resources.wholeTexts() && resources.diffusion() == null) {
      throw new IllegalArgumentException(
          "This model reads texts and writes none; ask it for the logits of a text.");
    }
    request.check(resources.diffusion() != null, limits.logitRows());
    StreamDecoder decoder =
        tokenizer == null ? null : tokenizer.stream(request.lastToken(), request.shown()::contains);
    Cursor cursor =
        request
            .constraint()
            .map(language ->
                new Cursor(
                    language,
                    resources.masks().get(),
                    () -> decoder != null && decoder.hidesSpace()))
            .orElse(null);
    return new Answer(
        this,
        session,
        request,
        pool,
        // A text that is denoised depends on no other.
        limits.reproducible()
            || resources.diffusion() != null
            || request.sampling().seed().isPresent(),
        new Sampler(request.sampling(), resources.vocabulary(), seed, request.logProbabilities()),
        decoder,
        cursor,
        now());
  }

  private List<Answer> enter(List<Answer> answers, int capacity) {
    List<Answer> entered = entered(answers, capacity);
    load = load.now(live.size(), admission.waiting());
    return entered;
  }

  private List<Answer> entered(List<Answer> answers, int capacity) {
    Admission.Group group = new Admission.Group(new ArrayList<>(answers), capacity);
    if (admission.enter(group)) {
      begin(group);
      serve(); // others may wait, behind it, with what they claimed gone to it
    }
    return List.copyOf(answers);
  }

  /** Begins the answers of a group that has its sequences; the first reads the prompt for all. */
  private void begin(Admission.Group group) {
    List<Answer> answers = group.answers();
    Diffusion diffusion = resources.diffusion();
    if (diffusion == null) {
      answers.getFirst().lead(answers.subList(1, answers.size()));
    }
    for (Answer answer : answers) {
      if (diffusion != null) {
        answer.denoise(denoiser(diffusion, answer));
      }
      answer.skipped(answer.session.begin(answer.request.prompt(), answer.reproducible));
      live.add(answer);
    }
  }

  private Denoiser denoiser(Diffusion diffusion, Answer answer) {
    Request request = answer.request;
    int[] prompt = request.prompt();
    int wanted =
        request.maxTokens() == Integer.MAX_VALUE ? Denoising.USUAL_LENGTH : request.maxTokens();
    int length = Math.min(wanted, limits.context() - prompt.length);
    return new Denoiser(diffusion, request.sampling().denoising(), prompt, length, answer.seed());
  }

  private static void checkIdle(Session session) {
    if (session.closed) {
      throw new EngineClosedException("session");
    }
    if (session.answering != null) {
      throw new IllegalStateException(
          "This session is still answering; take that answer to its end, or close it, first.");
    }
  }

  /** See {@link Session#save(CacheStore, String, CacheStore.Precision)}. */
  long save(Session session, CacheStore store, String name, CacheStore.Precision precision) {
    checkIdle(session);
    if (session.state == null || session.state().length() == 0) {
      return 0;
    }
    return using(() ->
        store.save(
            name,
            session.state(),
            session.tokens.slice(0, session.state().length()),
            fingerprint(session.state().layout()),
            precision));
  }

  /** See {@link Session#restore}. */
  int restore(Session session, CacheStore store, String name) {
    return fill(
        session,
        state ->
            store.restore(
                name,
                state,
                fingerprint(state.layout()),
                limits.context() - 1,
                resources.vocabulary()));
  }

  /** See {@link Session#fill}. */
  int fill(Session session, int[] tokens) {
    checkRemembers();
    if (tokens.length >= limits.context()) {
      throw new ContextExceededException(tokens.length, limits.context());
    }
    return fill(session, state -> RandomTokens.fill(state, tokens, limits.chunk()));
  }

  /**
   * Puts tokens into a session in place of what it holds.
   *
   * @param source fills an empty sequence and says which tokens it then holds
   */
  private int fill(Session session, Function<SequenceState, int[]> source) {
    checkIdle(session);
    admission.release(session);
    if (!admission.admit(session, limits.context())) {
      throw new QueueFullException(admission.waiting(), limits.sequences());
    }
    try {
      int[] tokens = using(() -> source.apply(session.state()));
      session.tokens.addAll(tokens);
      session.restored = true;
      return tokens.length;
    } catch (RuntimeException | Error e) {
      admission.release(session);
      throw e;
    }
  }

  private <T> T using(Supplier<T> work) {
    inUse = true;
    try {
      return work.get();
    } finally {
      inUse = false;
    }
  }

  /**
   * Refuses what needs a cache, where nothing is cached.
   *
   * @throws IllegalArgumentException if the model computes texts whole
   */
  void checkRemembers() {
    if (resources.wholeTexts()) {
      throw new IllegalArgumentException(
          "This model computes texts whole, and caches nothing that could be gone on from; ask it for %sthe logits of a text."
              .formatted(resources.diffusion() == null ? "" : "answers, or for "));
    }
  }

  /** Begins the answers whose turn has come. */
  @Override
  public void serve() {
    for (Admission.Group next = admission.next(); next != null; next = admission.next()) {
      begin(next);
    }
  }

  /** The work that was done so far, and that there is now; for any thread. */
  Load load() {
    return load;
  }

  /** Requests that wait for a sequence. */
  int waiting() {
    return admission.waiting();
  }

  /** Tokens of prompts, of answers that have ended, that were found and not computed. */
  long tokensFound() {
    return tokensFound;
  }

  /** Ends an answer where it is, if it has not ended. */
  void cancel(Answer answer) {
    stop(answer, FinishReason.CANCELLED);
  }

  private void stop(Answer answer, FinishReason reason) {
    if (!answer.ended()) {
      try {
        answer.finish(reason);
      } catch (RuntimeException | Error e) {
        answer.fail(e);
      }
      answer.standAlone();
      end(answer);
      serve();
    }
  }

  /** Ends the answers whose deadline has come. */
  @Override
  public void elapse() {
    if (untilDue() <= 0) {
      long now = now();
      unfinished()
          .filter(a -> a.left(now) <= 0)
          .toList()
          .forEach(a -> stop(a, FinishReason.DEADLINE));
    }
  }

  @Override
  public long untilDue() {
    long now = now();
    return unfinished().mapToLong(a -> a.left(now)).min().orElse(Long.MAX_VALUE);
  }

  /** Answers that have a sequence, or wait for one. */
  private Stream<Answer> unfinished() {
    return Stream.concat(live.stream(), admission.waitingAnswers().stream());
  }

  private long now() {
    return resources.clock().getAsLong();
  }

  /** Ends what a session answers and gives its memory back. */
  void close(Session session) {
    session.closed = true;
    if (session.answering != null) {
      cancel(session.answering);
    }
    admission.release(session);
    serve();
  }

  /** After an answer has ended: its session is free, and who takes from it is told. */
  private void end(Answer answer) {
    try {
      admission.leave(answer);
      live.remove(answer);
      answer.handOver();
      Session session = answer.session;
      if (session.answering == answer) {
        session.answering = null;
        if (session.closed || answer.lost()) {
          admission.release(session);
        }
      }
    } finally {
      tokensFound += answer.usage().cachedTokens();
      answer.publish();
      load = load.now(live.size(), admission.waiting());
      resources.memory().budget().announce(); // an idle session can give back
    }
  }

  @Override
  public boolean wanted() {
    return !live.isEmpty() && (pressed() || live.stream().anyMatch(Answer::wanted));
  }

  @Override
  public void step() {
    resources.team().turn(this::compute);
  }

  /**
   * Says whether somebody waits for answers to end, in this model or another, and not for a reader.
   */
  private boolean pressed() {
    return admission.waiting() > 0 || resources.memory().budget().isClaimed();
  }

  private void compute() {
    Batch<? extends Batch.AnswerWork> batch =
        resources.diffusion() == null
            ? Batch.next(live, pressed(), limits, resources.pace().rows(), endTokens)
            : DenoisedText.next(live, pressed(), limits, endTokens);
    if (batch.work().isEmpty()) {
      return; // what is wanted is being read
    }
    inUse = true;
    StepEvent event = FlightRecording.isOn() ? new StepEvent(resources.model()) : null;
    double seconds;
    try {
      seconds = batch.compute(forward, resources.team(), resources.clock());
    } finally {
      inUse = false;
    }
    resources.pace().took(seconds, batch.promptRows());
    load = load.after(batch.runs().size(), batch.rows(), seconds);
    if (event != null) {
      event.end(
          batch.runs().size(),
          batch.rows(),
          batch.promptRows(),
          admission.waiting(),
          resources.memory().used(),
          resources.memory().budget().used());
    }
    live.stream().filter(Answer::ended).toList().forEach(this::end);
    // Who was served waits behind those who were not.
    Set<Answer> served = new LinkedHashSet<>();
    batch.work().forEach(work -> served.add(work.answer()));
    live.removeAll(served);
    served.stream().filter(a -> !a.ended()).forEach(live::add);
    load = load.now(live.size(), admission.waiting());
  }

  @Override
  public void end() {
    for (Answer answer : unfinished().toList()) {
      answer.standAlone();
      answer.fail(new EngineClosedException("engine"));
      end(answer);
    }
    admission.releaseIdle(Long.MAX_VALUE);
  }

  @Override
  public List<Offer> offers() {
    return loop.giveBack(() -> inUse ? List.of() : admission.offers(), List.of());
  }

  @Override
  public void hurry() {
    loop.wake();
  }

  /** Gives up cached prefixes and the memory of idle sessions. */
  @Override
  public long reclaim(long bytes) {
    return loop.giveBack(
        () -> {
          if (inUse) {
            return 0L; // nothing is free for others before pages can be moved
          }
          long given = admission.reclaim(bytes);
          resources.pools().planned().compact();
          return given;
        },
        0L);
  }
}
