package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.BudgetExceededException;
import dev.knapsack.model.Run;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Decides what a step computes: a token for each answer that is being written, and parts of prompts
 * in the room that is left.
 *
 * <p>It has no thread. Of those who wait for a piece of text one computes a step for all; the
 * others wait for it, and one of them computes the next. Everything but the computing itself
 * happens under one lock.
 */
final class Scheduler {
  /** What the scheduler has to work with. */
  record Resources(
      int vocabulary,
      @Nullable Tokenizer tokenizer,
      KvLayout layout,
      KvPool pool,
      Account account,
      Limits limits) {}

  /**
   * The most of everything.
   *
   * @param context tokens of a sequence
   * @param sequences sequences that hold memory at once
   * @param chunk tokens that a sequence may add in one step
   * @param tokens tokens of a step
   */
  record Limits(int context, int sequences, int chunk, int tokens) {}

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
  private final List<Answer> live = new ArrayList<>();

  /** Sessions that hold memory. */
  private final List<Session> sessions = new ArrayList<>();

  private boolean stepping;
  private boolean closed;
  private long clock;

  Scheduler(Resources resources, Step step) {
    this.resources = resources;
    this.limits = resources.limits();
    this.step = step;
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

  /** Begins an answer in a session that lives on. */
  Answer start(Session session, Request request) {
    lock.lock();
    try {
      checkOpen();
      if (session.closed) {
        throw new EngineClosedException("session");
      }
      Answer last = session.answering;
      if (last != null) {
        if (!last.ended()) {
          throw new IllegalStateException(
              "This session is still answering; take that answer to its end, or close it, first.");
        }
        awaitStepOf(last);
      }
      Answer answer =
          answer(session, request, request.sampling().seed().orElseGet(seeds::nextLong));
      admit(session, answer, limits.context());
      begin(answer);
      return answer;
    } finally {
      lock.unlock();
    }
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
        throw new SequencesExceededException(samples, 0, limits.sequences());
      }
      long seed = request.sampling().seed().orElseGet(seeds::nextLong);
      int most =
          (int) Math.min(limits.context(), (long) request.prompt().length + request.maxTokens());
      List<Answer> answers = new ArrayList<>();
      try {
        for (int i = 0; i < samples; i++) {
          Session session = new Session(this);
          Answer answer = answer(session, request, seed + i);
          admit(session, answer, most);
          session.closed = true; // nobody else has it: its memory goes when the answer ends
          answers.add(answer);
        }
      } catch (RuntimeException | Error e) {
        answers.forEach(a -> drop(a.session));
        throw e;
      }
      Answer leader = answers.getFirst();
      leader.siblings = List.copyOf(answers.subList(1, samples));
      leader.siblings.forEach(s -> s.leader = leader);
      answers.forEach(this::begin);
      return List.copyOf(answers);
    } finally {
      lock.unlock();
    }
  }

  private Answer answer(Session session, Request request, long seed) {
    int[] prompt = request.prompt();
    for (int token : prompt) {
      if (token < 0 || token >= resources.vocabulary()) {
        throw new IllegalArgumentException(
            "Token %d of the prompt is none of the vocabulary's %,d"
                .formatted(token, resources.vocabulary()));
      }
    }
    if (prompt.length >= limits.context()) {
      throw new ContextExceededException(prompt.length, limits.context());
    }
    if (request.overflow() instanceof Request.Overflow.Shift(int keep)
        && keep > limits.context() - 2) {
      throw new IllegalArgumentException(
          "Cannot keep %,d tokens when the context of %,d is full; keep at most %,d."
              .formatted(keep, limits.context(), limits.context() - 2));
    }
    Tokenizer tokenizer = resources.tokenizer();
    if (tokenizer == null && !request.stops().isEmpty()) {
      throw new IllegalArgumentException("Stop strings need a tokenizer, and the engine has none.");
    }
    return new Answer(
        this,
        session,
        request,
        new Sampler(request.sampling(), resources.vocabulary(), seed),
        tokenizer == null ? null : tokenizer.stream(prompt[prompt.length - 1]));
  }

  /** Gives a session memory for a sequence, that of idle sessions if need be. */
  private void admit(Session session, Answer answer, int capacity) {
    if (session.cache != null) {
      session.answering = answer;
      return;
    }
    while (true) {
      if (sessions.size() < limits.sequences()) {
        long bytes = resources.layout().bytes(capacity, limits.chunk());
        try {
          session.promise = resources.account().reserve(bytes);
          break;
        } catch (BudgetExceededException e) {
          if (!releaseIdle()) {
            throw e;
          }
        }
      } else if (!releaseIdle()) {
        throw new SequencesExceededException(1, sessions.size(), limits.sequences());
      }
    }
    session.cache = resources.pool().cache();
    session.capacity = capacity;
    session.answering = answer;
    sessions.add(session);
  }

  private boolean releaseIdle() {
    Optional<Session> idle =
        sessions.stream()
            .filter(s -> s.answering == null || (s.answering.ended() && !s.answering.inStep))
            .min(Comparator.comparingLong(s -> s.lastUsed));
    idle.ifPresent(this::drop);
    return idle.isPresent();
  }

  private void drop(Session session) {
    session.release();
    sessions.remove(session);
  }

  private void begin(Answer answer) {
    Session session = answer.session;
    int[] prompt = answer.request.prompt();
    // The last token is always computed: its logits are not kept.
    int common =
        Math.min(
            Math.min(session.tokens.commonPrefix(prompt), prompt.length - 1),
            session.cache().length());
    answer.cachedTokens = goBack(session, common);
    session.tokens.truncate(0);
    session.tokens.addAll(prompt);
    session.lastUsed = ++clock;
    live.add(answer);
  }

  /** Forgets what a session has cached after {@code length} tokens; all of it if it must. */
  private static int goBack(Session session, int length) {
    try {
      session.cache().truncate(length);
      return length;
    } catch (IllegalStateException windowsWereFreed) {
      session.cache().truncate(0);
      return 0;
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
        if (stepping) {
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
    List<Answer> batch = new ArrayList<>();
    List<Run> runs = new ArrayList<>();
    compose(batch, runs);
    batch.forEach(a -> a.inStep = true);
    stepping = true;
    long begin = System.nanoTime();
    Matrix logits = null;
    Throwable problem = null;
    lock.unlock();
    try {
      logits = step.forward(runs);
    } catch (RuntimeException | Error e) {
      problem = e;
    } finally {
      lock.lock();
      stepping = false;
    }
    long end = System.nanoTime();
    int row = 0;
    for (int i = 0; i < batch.size(); i++) {
      Answer answer = batch.get(i);
      answer.inStep = false;
      if (logits == null) {
        fail(answer, problem == null ? new IllegalStateException("no logits") : problem);
        continue;
      }
      answer.stepBegins(begin);
      answer.session.cache().freeOutsideWindows();
      answer.decoded(end - begin);
      if (runs.get(i).logits() > 0) {
        choose(answer, logits, row++, end);
      }
      if (answer.ended()) {
        end(answer);
      }
    }
    // Who was served waits behind those who were not.
    live.removeAll(batch);
    batch.stream().filter(a -> !a.ended()).forEach(live::add);
    changed.signalAll();
  }

  private void compose(List<Answer> batch, List<Run> runs) {
    int room = limits.tokens();
    for (boolean writing : new boolean[] {true, false}) {
      for (Answer answer : live) {
        int pending = answer.leader == null && answer.wanted() ? answer.session.pending() : 0;
        if (pending == 0 || (pending == 1) != writing || room == 0) {
          continue;
        }
        Session session = answer.session;
        int n = Math.min(Math.min(pending, room), limits.chunk());
        int from = session.cache().length();
        runs.add(
            new Run(
                session.cache(), session.tokens.slice(from, from + n), 0, n, n == pending ? 1 : 0));
        batch.add(answer);
        room -= n;
      }
    }
  }

  /** Chooses the next token of an answer, and the first one of those that waited for its prompt. */
  private void choose(Answer answer, Matrix logits, int row, long now) {
    long offset = logits.rowOffset(row);
    List<Answer> waiting = answer.siblings.stream().filter(s -> s.leader == answer).toList();
    if (waiting.isEmpty()) {
      next(answer, logits.data(), offset, now);
      return;
    }
    // Each is to see the logits as they are, before another's penalties.
    float[] original = new float[logits.columns()];
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, offset, original, 0, original.length);
    for (Answer sibling : waiting) {
      Session session = sibling.session;
      session.cache().close();
      session.cache = answer.session.cache().fork();
      session.tokens.truncate(0);
      session.tokens.addAll(answer.session.tokens.slice(0, answer.session.tokens.size()));
      sibling.leader = null;
    }
    answer.siblings = List.of();
    next(answer, logits.data(), offset, now);
    for (Answer sibling : waiting) {
      sibling.stepBegins(now);
      MemorySegment.copy(
          original, 0, logits.data(), ValueLayout.JAVA_FLOAT, offset, original.length);
      next(sibling, logits.data(), offset, now);
      if (sibling.ended()) {
        end(sibling);
      }
    }
  }

  private void next(Answer answer, MemorySegment logits, long offset, long now) {
    if (answer.ended()) {
      return; // cancelled while the step ran
    }
    Session session = answer.session;
    int token;
    try {
      token = answer.sampler.sample(logits, offset, session.tokens);
    } catch (LogitsException e) {
      answer.fail(e);
      return;
    }
    boolean endToken = endTokens.contains(token);
    if (!endToken || answer.request.ignoreEnd()) {
      session.tokens.add(token);
    }
    answer.accept(token, endToken, now);
    if (!answer.ended() && session.tokens.size() >= session.capacity) {
      switch (answer.request.overflow()) {
        case Request.Overflow.Stop() -> answer.finish(FinishReason.CONTEXT_FULL);
        case Request.Overflow.Shift(int keep) -> shift(session, keep);
      }
    }
  }

  private static void shift(Session session, int keep) {
    int size = session.tokens.size();
    int[] head = session.tokens.slice(0, keep);
    int[] tail = session.tokens.slice(size - (size - keep) / 2, size);
    session.tokens.truncate(0);
    session.tokens.addAll(head);
    session.tokens.addAll(tail);
    goBack(session, Math.min(keep, session.cache().length()));
  }

  private void fail(Answer answer, Throwable problem) {
    List<Answer> waiting = answer.siblings.stream().filter(s -> s.leader == answer).toList();
    if (!answer.ended()) {
      answer.fail(problem);
    }
    answer.siblings = List.of();
    end(answer);
    for (Answer sibling : waiting) {
      sibling.leader = null;
      sibling.fail(problem);
      end(sibling);
    }
  }

  /** After an answer has ended, and no step computes for it: its session is free. */
  private void end(Answer answer) {
    live.remove(answer);
    handOver(answer);
    Session session = answer.session;
    if (session.answering == answer) {
      session.answering = null;
      if (session.closed) {
        drop(session);
      }
    }
  }

  /** The answers that wait for the prompt of one that ended go on with what it has read. */
  private void handOver(Answer ended) {
    List<Answer> waiting = ended.siblings.stream().filter(s -> s.leader == ended).toList();
    ended.siblings = List.of();
    if (waiting.isEmpty()) {
      return;
    }
    Answer heir = waiting.getFirst();
    Session session = ended.session;
    ended.session = heir.session;
    ended.session.answering = ended;
    heir.session = session;
    session.answering = heir;
    heir.leader = null;
    heir.siblings = waiting.subList(1, waiting.size());
    heir.siblings.forEach(s -> s.leader = heir);
  }

  void cancel(Answer answer) {
    lock.lock();
    try {
      if (!answer.ended()) {
        answer.finish(FinishReason.CANCELLED);
        if (answer.leader != null) {
          Answer leader = answer.leader;
          leader.siblings = leader.siblings.stream().filter(s -> s != answer).toList();
          answer.leader = null;
        }
        if (!answer.inStep) {
          end(answer);
        }
        changed.signalAll();
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
      session.closed = true;
      Answer answer = session.answering;
      if (answer != null) {
        close(answer);
      }
      drop(session);
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
      while (stepping) {
        changed.awaitUninterruptibly();
      }
      checkOpen();
      stepping = true;
      lock.unlock();
      try {
        work.run();
      } finally {
        lock.lock();
        stepping = false;
        changed.signalAll();
      }
    } finally {
      lock.unlock();
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
      while (stepping) {
        changed.awaitUninterruptibly();
      }
      for (Answer answer : List.copyOf(live)) {
        answer.leader = null;
        answer.siblings = List.of();
        answer.fail(new EngineClosedException("engine"));
        end(answer);
      }
      List.copyOf(sessions).forEach(this::drop);
      changed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }
}
