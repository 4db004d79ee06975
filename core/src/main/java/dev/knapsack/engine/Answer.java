package dev.knapsack.engine;

import dev.knapsack.memory.Footprint;
import dev.knapsack.text.StreamDecoder;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * An answer while it is being written: a stream of text whose tokens are computed as they are
 * taken.
 *
 * <p>Whoever takes the next piece computes it, together with a little of what other live answers
 * need, so that answers taken by several threads share their steps. An answer that nobody takes
 * from costs nothing but its cache. It can be taken from once, by one thread; {@link #cancel} and
 * {@link #close} may be called by any.
 *
 * <p>While all sequences are busy an answer waits for one, in the order of asking, and holds
 * nothing but its prompt. As long as any waits, those that have a sequence are written to their end
 * whether someone takes from them or not, so that every turn comes.
 *
 * <p>Taking throws {@link dev.knapsack.file.ModelFileException} when weights cannot be read, {@link
 * LogitsException} when no token can be chosen, {@link dev.knapsack.memory.BudgetExceededException}
 * when its cache does not fit although its turn has come, and {@link EngineClosedException} when
 * the engine was closed before the end.
 */
public final class Answer implements Iterable<String>, AutoCloseable {
  /** Pieces computed ahead of one who takes them, so that takers of several stay in step. */
  private static final int AHEAD = 2;

  private final Scheduler scheduler;
  final Request request;
  final Sampler sampler;
  private final int promptTokens;
  private final @Nullable StreamDecoder decoder;
  private final StopStrings stops;
  private final long asked = System.nanoTime();
  private boolean taken;

  // What follows is guarded by the scheduler's lock.

  Session session;

  /** Whether it waits for a sequence, and its session is idle until it has one. */
  boolean waiting;

  /** Answers to the same prompt that begin when this one has read it. */
  List<Answer> siblings = List.of();

  /** The answer that reads the prompt for this one, until it has. */
  @Nullable Answer leader;

  /** Whether the step under way computes for it. */
  boolean inStep;

  int cachedTokens;
  private final Deque<String> pieces = new ArrayDeque<>();
  private final StringBuilder text = new StringBuilder();
  private final Tokens tokens = new Tokens(16);
  private boolean started;
  private boolean eager;
  private @Nullable FinishReason finish;
  private @Nullable Throwable failure;
  private long firstStep;
  private long firstToken;
  private long decodeNanos;

  Answer(
      Scheduler scheduler,
      Session session,
      Request request,
      Sampler sampler,
      @Nullable StreamDecoder decoder) {
    this.scheduler = scheduler;
    this.session = session;
    this.request = request;
    this.promptTokens = request.prompt().length;
    this.sampler = sampler;
    this.decoder = decoder;
    this.stops = new StopStrings(request.stops());
  }

  /** Pieces of text as they come, each of whole characters; can be asked for once. */
  @Override
  public Iterator<String> iterator() {
    if (taken) {
      throw new IllegalStateException("The pieces of an answer can be taken once.");
    }
    taken = true;
    return new Iterator<>() {
      private @Nullable String next;
      private boolean ended;

      @Override
      public boolean hasNext() {
        if (next == null && !ended) {
          next = scheduler.take(Answer.this);
          ended = next == null;
        }
        return next != null;
      }

      @Override
      public String next() {
        String piece = hasNext() ? next : null;
        if (piece == null) {
          throw new NoSuchElementException("The answer has ended");
        }
        next = null;
        return piece;
      }
    };
  }

  /** The same pieces as a stream; closing it closes the answer. */
  public Stream<String> stream() {
    return StreamSupport.stream(
            Spliterators.spliteratorUnknownSize(
                iterator(), Spliterator.ORDERED | Spliterator.NONNULL),
            false)
        .onClose(this::close);
  }

  /** Writes the answer to its end and gives each piece to {@code listener} as it comes. */
  public Answer each(Consumer<String> listener) {
    scheduler.locked(() -> eager = true);
    forEach(listener);
    return this;
  }

  /** Writes the answer to its end; all of its text. */
  public String text() {
    scheduler.locked(() -> eager = true);
    while (scheduler.take(this) != null) {
      taken = true;
    }
    return textSoFar();
  }

  /** The text so far, taken or not. */
  public String textSoFar() {
    return scheduler.get(text::toString);
  }

  /** The tokens so far, without the one that ended the answer. */
  public int[] tokens() {
    return scheduler.get(() -> tokens.slice(0, tokens.size()));
  }

  /** Why it ended; empty while it has not. */
  public Optional<FinishReason> finishReason() {
    return scheduler.get(() -> Optional.ofNullable(finish));
  }

  /** The seed with which this answer can be had again. */
  public long seed() {
    return sampler.seed();
  }

  public Stats stats() {
    long peak = Footprint.now().map(Footprint::peak).orElse(0L);
    return scheduler.get(() ->
        new Stats(
            promptTokens,
            cachedTokens,
            tokens.size(),
            firstToken == 0 ? 0 : (firstToken - firstStep) / 1e9,
            decodeNanos / 1e9,
            firstToken == 0 ? 0 : (firstToken - asked) / 1e9,
            peak));
  }

  /** Ends the answer where it is, if it has not ended; what was written can still be taken. */
  public void cancel() {
    scheduler.cancel(this);
  }

  /** Cancels, and gives the sequence's memory back unless a session keeps it. */
  @Override
  public void close() {
    scheduler.close(this);
  }

  // For the scheduler, under its lock.

  void start() {
    started = true;
  }

  /** Whether a step should compute for it: someone takes from it, and has not much left to take. */
  boolean wanted() {
    if (finish != null) {
      return false;
    }
    boolean own = started && (eager || pieces.size() < AHEAD);
    return own || siblings.stream().anyMatch(Answer::wanted);
  }

  /** Reads the prompt for these answers too, which begin when it has been read. */
  void lead(List<Answer> others) {
    siblings = List.copyOf(others);
    siblings.forEach(s -> s.leader = this);
  }

  /** Waits for no other to read its prompt. */
  void standAlone() {
    if (leader != null) {
      leader.siblings = leader.siblings.stream().filter(s -> s != this).toList();
      leader = null;
    }
  }

  /** After its end: those who wait for it to read their prompt go on with what it has read. */
  void handOver() {
    if (siblings.isEmpty()) {
      return;
    }
    Answer heir = siblings.getFirst();
    Session read = session;
    session = heir.session;
    session.answering = this;
    heir.session = read;
    read.answering = heir;
    heir.leader = null;
    heir.lead(siblings.subList(1, siblings.size()));
    siblings = List.of();
  }

  boolean ended() {
    return finish != null;
  }

  @Nullable String poll() {
    return pieces.poll();
  }

  @Nullable Throwable failure() {
    return failure;
  }

  void fail(Throwable problem) {
    failure = problem;
    finish = FinishReason.CANCELLED;
  }

  /** A step of this answer's prompt begins. */
  void stepBegins(long now) {
    if (firstStep == 0) {
      firstStep = now;
    }
  }

  /** A step that took {@code nanos} wrote a token that was not the first. */
  void decoded(long nanos) {
    if (firstToken != 0) {
      decodeNanos += nanos;
    }
  }

  /** Takes a token into the answer; it may end it. */
  void accept(int token, boolean endToken, long now) {
    if (firstToken == 0) {
      firstToken = now;
    }
    if (endToken && !request.ignoreEnd()) {
      finish(FinishReason.END_TOKEN);
      return;
    }
    tokens.add(token);
    if (decoder != null) {
      emit(stops.next(decoder.next(token)));
    }
    if (stops.found()) {
      finish(FinishReason.STOP_STRING);
    } else if (tokens.size() >= request.maxTokens()) {
      finish(FinishReason.MAX_TOKENS);
    }
  }

  void finish(FinishReason reason) {
    if (decoder != null && !stops.found()) {
      emit(stops.next(decoder.finish()));
      if (!stops.found()) {
        emit(stops.finish());
      }
    }
    finish = reason;
  }

  private void emit(String piece) {
    if (!piece.isEmpty()) {
      text.append(piece);
      pieces.add(piece);
    }
  }
}
