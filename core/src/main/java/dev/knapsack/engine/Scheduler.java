package dev.knapsack.engine;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.cache.store.Fingerprint;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.text.Tokenizer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Who computes, and when: the turns that threads take at one model.
 *
 * <p>It has no thread. Of those who wait for a piece of text one computes a step for all; the
 * others wait for it, and one of them computes the next. {@link Admission} says which answers have
 * a sequence, and {@link Batch} what a step computes for them. Everything but the computing itself
 * happens under one lock.
 */
final class Scheduler {
  /** What the scheduler has to work with. */
  record Resources(
      int vocabulary,
      @Nullable Tokenizer tokenizer,
      KvPool pool,
      PrefixTree prefixes,
      Limits limits,
      Supplier<Fingerprint> fingerprint) {}

  /**
   * The most of everything.
   *
   * @param context tokens of a sequence
   * @param sequences sequences that hold memory at once
   * @param chunk tokens that a sequence may add in one step
   * @param tokens tokens of a step
   * @param queue requests that wait for a sequence
   * @param prefixes whether sequences share what they begin with
   */
  record Limits(int context, int sequences, int chunk, int tokens, int queue, boolean prefixes) {}

  /** Computes a step: a row of logits for each run that wants one. */
  interface Step {
    Matrix forward(List<Run> runs);
  }

  private final Resources resources;
  private final Limits limits;
  private final Step step;
  private final Set<Integer> endTokens;
  private final SplittableRandom seeds = new SplittableRandom();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Admission admission;

  /** Answers that have a sequence and have not ended. */
  private final List<Answer> live = new ArrayList<>();

  private boolean stepping;

  /** Those who wait to have the model for themselves: no step begins before they had it. */
  private int claims;

  /** Sessions that a store reads or writes, or waits to. */
  private int moves;

  private boolean closed;

  Scheduler(Resources resources, Step step) {
    this.resources = resources;
    this.limits = resources.limits();
    this.step = step;
    this.admission = new Admission(resources.pool(), resources.prefixes(), limits);
    Tokenizer tokenizer = resources.tokenizer();
    this.endTokens =
        tokenizer == null ? Set.of() : Set.copyOf(new HashSet<>(tokenizer.endTokens()));
  }

  <T> T get(Supplier<T> read) {
    lock.lock();
    try {
      return read.get();
    } finally {
      lock.unlock();
    }
  }

  void locked(Runnable change) {
    get(() -> {
      change.run();
      return true;
    });
  }

  private void checkOpen() {
    if (closed) {
      throw new EngineClosedException("engine");
    }
  }

  Fingerprint fingerprint() {
    return resources.fingerprint().get();
  }

  /** Begins an answer in a session that lives on. */
  Answer start(Session session, Request request) {
    lock.lock();
    try {
      awaitIdle(session);
      Answer answer =
          answer(session, request, request.sampling().seed().orElseGet(seeds::nextLong));
      return enter(List.of(answer), limits.context()).getFirst();
    } finally {
      lock.unlock();
    }
  }

  /** Waits until nothing is done with a session that could be used next. */
  private void awaitIdle(Session session) {
    while (session.moving || (session.answering != null && session.answering.ended())) {
      changed.awaitUninterruptibly(); // or cancelled while a step computes for it
    }
    checkOpen();
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
    lock.lock();
    try {
      awaitIdle(session);
      if (session.cache == null || session.cache().length() == 0) {
        return 0;
      }
      beginMove(session);
      try {
        return alone(() ->
            store.save(
                name,
                session.cache(),
                session.tokens.slice(0, session.cache().length()),
                fingerprint(),
                precision));
      } finally {
        endMove(session);
      }
    } finally {
      lock.unlock();
    }
  }

  /** See {@link Session#restore}. */
  int restore(Session session, CacheStore store, String name) {
    return fill(
        session,
        cache ->
            store.restore(
                name, cache, fingerprint(), limits.context() - 1, resources.vocabulary()));
  }

  /** See {@link Session#fill}. */
  void fill(Session session, int[] tokens) {
    if (tokens.length >= limits.context()) {
      throw new ContextExceededException(tokens.length, limits.context());
    }
    fill(session, cache -> RandomTokens.fill(cache, tokens, limits.chunk()));
  }

  /**
   * Puts tokens into a session in place of what it holds.
   *
   * @param source fills an empty cache and says which tokens it then holds
   */
  private int fill(Session session, Function<KvCache, int[]> source) {
    lock.lock();
    try {
      awaitIdle(session);
      admission.release(session);
      if (!admission.admit(session, limits.context())) {
        throw new QueueFullException(admission.waiting(), limits.sequences());
      }
      beginMove(session);
      boolean done = false;
      try {
        int[] tokens = alone(() -> source.apply(session.cache()));
        session.tokens.addAll(tokens);
        done = true;
        return tokens.length;
      } finally {
        if (!done) {
          admission.release(session);
        }
        endMove(session);
      }
    } finally {
      lock.unlock();
    }
  }

  /** A store begins to read or write a session: nobody else uses it or takes its memory. */
  private void beginMove(Session session) {
    session.moving = true;
    moves++;
  }

  private void endMove(Session session) {
    session.moving = false;
    moves--;
    serve();
  }

  /**
   * Begins {@code samples} answers to one prompt, which is read once. The seed of each but the
   * first is one more than that of the one before.
   */
  List<Answer> start(Request request, int samples) {
    if (samples < 1) {
      throw new IllegalArgumentException(samples + " answers asked for; ask for 1 or more.");
    }
    lock.lock();
    try {
      checkOpen();
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
        answers.add(answer(session, request, seed + i));
      }
      return enter(answers, most);
    } finally {
      lock.unlock();
    }
  }

  private Answer answer(Session session, Request request, long seed) {
    Tokenizer tokenizer = resources.tokenizer();
    request.check(resources.vocabulary(), limits.context(), tokenizer != null);
    return new Answer(
        this,
        session,
        request,
        new Sampler(request.sampling(), resources.vocabulary(), seed),
        tokenizer == null ? null : tokenizer.stream(request.lastToken()));
  }

  private List<Answer> enter(List<Answer> answers, int capacity) {
    Admission.Group group = new Admission.Group(new ArrayList<>(answers), capacity);
    if (admission.enter(group)) {
      begin(group);
    }
    return List.copyOf(answers);
  }

  /** Begins the answers of a group that has its sequences; the first reads the prompt for all. */
  private void begin(Admission.Group group) {
    List<Answer> answers = group.answers();
    answers.getFirst().lead(answers.subList(1, answers.size()));
    for (Answer answer : answers) {
      answer.cachedTokens = answer.session.begin(answer.request.prompt());
      live.add(answer);
    }
  }

  /** Begins the answers whose turn has come. */
  private void serve() {
    for (Admission.Group next = admission.next(); next != null; next = admission.next()) {
      begin(next);
    }
    changed.signalAll();
  }

  /** Requests that wait for a sequence. */
  int waiting() {
    return get(admission::waiting);
  }

  /**
   * Gives up cached prefixes and the memory of idle sessions; see {@link
   * dev.knapsack.memory.Reclaimer#reclaim}.
   */
  long reclaim(long bytes) {
    if (!lock.tryLock()) {
      return 0; // who holds the lock may wait for what this thread holds
    }
    try {
      long given = admission.reclaim(bytes);
      if (!stepping && given > 0) {
        resources.pool().compact(); // else after the step
      }
      return given;
    } finally {
      lock.unlock();
    }
  }

  /** The next piece of an answer, or null at its end; computes steps until there is one. */
  @Nullable String take(Answer answer) {
    lock.lock();
    try {
      answer.start();
      while (true) {
        String piece = answer.poll();
        if (piece != null) {
          return piece;
        }
        if (answer.failure() != null) {
          throw rethrow(answer.failure());
        }
        if (answer.ended()) {
          return null;
        }
        if (stepping || claims > 0 || closed) {
          changed.awaitUninterruptibly();
        } else {
          step();
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private static RuntimeException rethrow(Throwable problem) {
    switch (problem) {
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> throw new IllegalStateException(problem);
    }
  }

  private void step() {
    Batch batch = new Batch(live, admission.waiting() > 0, limits);
    stepping = true;
    long begin = System.nanoTime();
    @Nullable Matrix logits = null;
    @Nullable Throwable problem = null;
    lock.unlock();
    try {
      logits = step.forward(batch.runs());
    } catch (RuntimeException | Error e) {
      problem = e;
    } finally {
      lock.lock();
      stepping = false;
    }
    long end = System.nanoTime();
    if (logits == null) {
      batch.failed(problem == null ? new IllegalStateException("no logits") : problem);
    } else {
      batch.done(logits, endTokens, begin, end);
    }
    live.stream().filter(Answer::ended).toList().forEach(this::end);
    // Who was served waits behind those who were not.
    live.removeAll(batch.answers());
    batch.answers().stream().filter(a -> !a.ended()).forEach(live::add);
    serve();
  }

  /** After an answer has ended, and no step computes for it: its session is free. */
  private void end(Answer answer) {
    admission.leave(answer);
    live.remove(answer);
    answer.handOver();
    Session session = answer.session;
    if (session.answering == answer) {
      session.answering = null;
      if (session.closed) {
        admission.release(session);
      }
    }
  }

  void cancel(Answer answer) {
    lock.lock();
    try {
      if (!answer.ended()) {
        answer.finish(FinishReason.CANCELLED);
        answer.standAlone();
        if (!answer.inStep) {
          end(answer);
        }
        serve();
      }
    } finally {
      lock.unlock();
    }
  }

  void close(Answer answer) {
    lock.lock();
    try {
      cancel(answer);
      awaitStepOf(answer);
    } finally {
      lock.unlock();
    }
  }

  void close(Session session) {
    lock.lock();
    try {
      while (session.moving) {
        changed.awaitUninterruptibly();
      }
      session.closed = true;
      Answer answer = session.answering;
      if (answer != null) {
        close(answer);
      }
      admission.release(session);
      serve();
    } finally {
      lock.unlock();
    }
  }

  private void awaitStepOf(Answer answer) {
    while (answer.inStep) {
      changed.awaitUninterruptibly();
    }
  }

  /** Runs what needs the model for itself, between steps. */
  void exclusively(Runnable work) {
    lock.lock();
    try {
      alone(() -> {
        work.run();
        return true;
      });
    } finally {
      lock.unlock();
    }
  }

  /** The same for one who holds the lock, which is given up meanwhile. */
  private <T> T alone(Supplier<T> work) {
    claims++;
    try {
      while (stepping) {
        changed.awaitUninterruptibly();
      }
      checkOpen();
      stepping = true;
    } finally {
      claims--;
      changed.signalAll();
    }
    lock.unlock();
    try {
      return work.get();
    } finally {
      lock.lock();
      stepping = false;
      changed.signalAll();
    }
  }

  /**
   * Ends all answers and gives all sequences back, after the step under way.
   *
   * @return whether this call was the first
   */
  boolean close() {
    lock.lock();
    try {
      if (closed) {
        return false;
      }
      closed = true;
      while (stepping || moves > 0) {
        changed.awaitUninterruptibly();
      }
      List<Answer> unfinished = new ArrayList<>(live);
      unfinished.addAll(admission.waitingAnswers());
      for (Answer answer : unfinished) {
        answer.standAlone();
        answer.fail(new EngineClosedException("engine"));
        end(answer);
      }
      admission.releaseIdle(Long.MAX_VALUE);
      changed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }
}
