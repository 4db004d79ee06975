package dev.knapsack.engine;

import dev.knapsack.cache.KvPool;
import dev.knapsack.constraint.Cursor;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.LogitsException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.text.StreamDecoder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * An answer while it is being written: a bounded channel of {@linkplain Event events}.
 *
 * <p>The engine's own thread writes it, together with others, and rests when {@value #AHEAD} tokens
 * wait to be taken: an answer that nobody takes from costs nothing then but its cache. It is taken
 * from once and by one thread, in one of these ways: as pieces of text ({@link #iterator}, {@link
 * #stream}, {@link #each}), as {@link #events}, by a {@linkplain #publisher subscriber}, or as a
 * whole ({@link #text}, {@link #result}). {@link #cancel} and {@link #close} may be called by any.
 *
 * <p>While all sequences are busy an answer waits for one, and holds nothing but its prompt: those
 * with a higher {@linkplain Request#withPriority priority} go first, then {@linkplain
 * Request#withTenant tenants} take turns, then the order of asking counts. As long as any waits,
 * those that have a sequence are written to their end whether someone takes from them or not, so
 * that every turn comes.
 *
 * <p>Taking text throws {@link dev.knapsack.error.ModelFileException} when weights cannot be read,
 * {@link LogitsException} when no token can be chosen, {@link
 * dev.knapsack.error.BudgetExceededException} when its cache does not fit although its turn has
 * come, and {@link EngineClosedException} when the engine was closed before the end; among the
 * events the same is a {@link Event.Failure}. All ways throw {@link WaitInterruptedException} when
 * the thread that takes is interrupted, which cancels this answer and no other. So does a listener
 * that throws.
 */
public final class Answer implements Iterable<String>, AutoCloseable {
  /** Tokens that may wait to be taken before the answer is written on. */
  static final int AHEAD = 32;

  /**
   * An answer that has ended.
   *
   * @param tokens those of its text, in order
   */
  public record Result(String text, List<Event.Token> tokens, Usage usage, FinishReason reason) {
    public Result {
      tokens = List.copyOf(tokens);
    }
  }

  private final Scheduler scheduler;
  final Request request;

  /** The pool that its sequence is to have its pages in. */
  final KvPool pool;

  final Sampler sampler;
  final boolean reproducible;
  private final int promptTokens;
  private final @Nullable StreamDecoder decoder;

  /** Its place in the language that it is held to; null where it is held to none. */
  final @Nullable Cursor cursor;

  private final StopStrings stops;
  private final EventChannel channel;

  /** The time at which it was asked for, in nanoseconds, and what it may take from then on. */
  private final long asked;

  private final long allowed;

  // What follows is used on the engine's thread alone.

  Session session;

  /** True while it waits for a sequence; its session is idle until it has one. */
  boolean waiting;

  /** Answers to the same prompt that begin when this one has read it. */
  List<Answer> siblings = List.of();

  /** The answer that reads the prompt for this one, until it has. */
  @Nullable Answer leader;

  /** Its text, where the model denoises; null where it writes token by token. */
  private @Nullable Denoiser denoiser;

  private @Nullable FinishReason finish;
  private boolean lost;

  /** Events that are not in the channel yet. */
  private final List<Event> events = new ArrayList<>();

  // What follows is guarded by this object, which is locked for moments only.

  private final StringBuilder text = new StringBuilder();
  private final List<Event.Token> tokens = new ArrayList<>();
  private @Nullable FinishReason ended;
  private @Nullable Throwable failure;
  private long cacheBytes;
  private long mostCacheBytes;
  private int cachedTokens;
  private long firstStep;
  private long firstToken;
  private long decodeNanos;
  private int steps;

  Answer(
      Scheduler scheduler,
      Session session,
      Request request,
      KvPool pool,
      boolean reproducible,
      Sampler sampler,
      @Nullable StreamDecoder decoder,
      @Nullable Cursor cursor,
      long asked) {
    this.scheduler = scheduler;
    this.session = session;
    this.request = request;
    this.pool = pool;
    this.reproducible = reproducible;
    this.promptTokens = request.prompt().length;
    this.sampler = sampler;
    this.decoder = decoder;
    this.cursor = cursor;
    this.stops = new StopStrings(request.stops());
    this.channel = new EventChannel(scheduler.loop()::wake);
    this.asked = asked;
    this.allowed = request.deadline().map(Answer::nanoseconds).orElse(Long.MAX_VALUE);
  }

  private static long nanoseconds(Duration time) {
    // Longer than any process runs.
    return time.toDays() > 100_000 ? Long.MAX_VALUE : time.toNanos();
  }

  /** Pieces of text as they come, each of whole characters; can be asked for once. */
  @Override
  public Iterator<String> iterator() {
    return stream().iterator();
  }

  /** The same pieces as a stream; closing it closes the answer. */
  public Stream<String> stream() {
    return Event.texts(events());
  }

  /**
   * Gives each piece to {@code listener} as it comes, to the end of the answer; what the listener
   * throws cancels the answer and is thrown here.
   */
  public Answer each(Consumer<? super String> listener) {
    try {
      forEach(listener);
    } catch (RuntimeException | Error e) {
      cancel();
      throw e;
    }
    return this;
  }

  /**
   * All that happens, as it happens; can be asked for once. Closing the stream closes the answer.
   */
  public Stream<Event> events() {
    channel.claim();
    Iterator<Event> events =
        new Iterator<>() {
          private @Nullable Event next;

          @Override
          public boolean hasNext() {
            if (next == null) {
              next = take();
            }
            return next != null;
          }

          @Override
          public Event next() {
            Event event = hasNext() ? next : null;
            if (event == null) {
              throw new NoSuchElementException("The answer has ended");
            }
            next = null;
            return event;
          }
        };
    return StreamSupport.stream(
            Spliterators.spliteratorUnknownSize(events, Spliterator.ORDERED | Spliterator.NONNULL),
            false)
        .onClose(this::close);
  }

  /** The next event, once it is there; null after the last. */
  private @Nullable Event take() {
    try {
      return channel.take();
    } catch (InterruptedException e) {
      throw interrupted();
    }
  }

  private WaitInterruptedException interrupted() {
    Thread.currentThread().interrupt();
    cancel();
    return new WaitInterruptedException();
  }

  /**
   * The same events for one subscriber, in a virtual thread of its own, no more of them than it has
   * requested; its first event waits for its first request. In place of a {@link Event.Failure}
   * comes {@code onError}. Cancelling the subscription cancels the answer; so does a subscriber
   * that throws.
   *
   * @param reading gives what the subscriber is to have in place of an event; it is called in the
   *     order of events, by one thread
   */
  public Flow.Publisher<Event> publisher(BiConsumer<Event, Consumer<Event>> reading) {
    return subscriber -> {
      Objects.requireNonNull(subscriber);
      Thread.ofVirtual().start(new EventSubscription(this, channel, reading, subscriber)::run);
    };
  }

  /** All text of the answer, once it has ended. */
  public String text() {
    awaitEnd();
    return textSoFar();
  }

  private void awaitEnd() {
    try {
      channel.awaitEnd();
    } catch (InterruptedException e) {
      throw interrupted();
    }
    synchronized (this) {
      if (failure != null) {
        throw new Event.Failure(failure).thrown();
      }
    }
  }

  /**
   * The whole answer, once it has ended, as {@code reading} makes it; or what {@link #text} would
   * throw. Cancelling the future that it is cancels the answer.
   */
  public <T> CompletionStage<T> result(Function<Result, T> reading) {
    CompletableFuture<T> result =
        new CompletableFuture<>() {
          @Override
          public boolean cancel(boolean mayInterrupt) {
            boolean cancelled = super.cancel(mayInterrupt);
            Answer.this.cancel(); // if it has not ended
            return cancelled;
          }
        };
    Thread.ofVirtual()
        .start(() -> {
          try {
            awaitEnd();
            result.complete(reading.apply(whole()));
          } catch (Throwable e) {
            result.completeExceptionally(e);
          }
        });
    return result;
  }

  private synchronized Result whole() {
    return new Result(text.toString(), tokens, usage(), finishReason().orElseThrow());
  }

  /** The text so far, taken or not. */
  public synchronized String textSoFar() {
    return text.toString();
  }

  /** The tokens so far, without the one that ended the answer. */
  public synchronized int[] tokens() {
    return tokens.stream().mapToInt(Event.Token::id).toArray();
  }

  /** The reason why it ended; empty while it has not. */
  public synchronized Optional<FinishReason> finishReason() {
    return Optional.ofNullable(ended);
  }

  /** The stop string that ended it; empty if none has. */
  public synchronized Optional<String> stopString() {
    return Optional.ofNullable(stops.found());
  }

  /**
   * The seed that its tokens were drawn with. The same request with this seed gives the same answer
   * again, bit for bit, whatever is computed beside it: with the same plan, kernels and processor,
   * and in a session after the same turns. That holds of this answer itself where it {@link
   * #isReproducible}; of others, neighbours may have changed the rounding, and so a token.
   */
  public long seed() {
    return sampler.seed();
  }

  /**
   * Says whether it was computed as if nothing else were: its request named a seed, or the engine
   * was opened so.
   */
  public boolean isReproducible() {
    return reproducible;
  }

  /** The tokens and the time that it took so far. */
  public synchronized Usage usage() {
    return new Usage(
        promptTokens,
        cachedTokens,
        tokens.size(),
        firstToken == 0 || denoiser != null ? 0 : (firstToken - firstStep) / 1e9,
        decodeNanos / 1e9,
        firstToken == 0 ? 0 : (firstToken - asked) / 1e9,
        steps,
        mostCacheBytes);
  }

  /** Has a cache of so many bytes from now on. */
  synchronized void holds(long bytes) {
    cacheBytes = bytes;
    mostCacheBytes = Math.max(mostCacheBytes, bytes);
  }

  /** Bytes of cache that it holds now, without what it shares; 0 while it waits for them. */
  public synchronized long cacheBytes() {
    return finishReason().isEmpty() ? cacheBytes : 0;
  }

  /**
   * Ends the answer where it is, if it has not ended, once the step under way is done; what was
   * written can still be taken. Gives the sequence's memory back unless a session keeps it.
   */
  public void cancel() {
    scheduler.loop().settle(() -> scheduler.cancel(this));
  }

  /** Cancels. */
  @Override
  public void close() {
    cancel();
  }

  // For the engine's thread.

  /**
   * Says whether a step should compute for it, as long as it has not ended: little waits to be
   * taken.
   */
  boolean wanted() {
    return leader == null
        && (channel.hasRoom() || siblings.stream().anyMatch(s -> s.channel.hasRoom()));
  }

  /** Reads the prompt for these answers too, which begin when it has been read. */
  void lead(List<Answer> others) {
    siblings = List.copyOf(others);
    siblings.forEach(s -> s.leader = this);
  }

  /** Has it denoised, in place of being written token by token. */
  synchronized void denoise(Denoiser text) {
    denoiser = text;
  }

  Denoiser denoiser() {
    return Objects.requireNonNull(denoiser);
  }

  /** A sampler like its own, that never chooses this token. */
  Sampler sampler(int never) {
    return sampler.without(never);
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

  /** Nanoseconds until its deadline; the longest there are if it has none. */
  long left(long now) {
    return allowed == Long.MAX_VALUE ? Long.MAX_VALUE : allowed - (now - asked);
  }

  boolean ended() {
    return finish != null;
  }

  /** Says whether what its sequence holds cannot be gone on from. */
  boolean lost() {
    return lost;
  }

  void lose() {
    lost = true;
  }

  /** Ends it with a problem, if nobody has been told of another end. */
  synchronized void fail(Throwable problem) {
    if (failure == null && ended == null) {
      failure = problem;
      finish = FinishReason.FAILED;
    }
  }

  /** Tells who takes from it that it has ended: all else about the end has been done. */
  synchronized void publish() {
    FinishReason reason = Objects.requireNonNull(finish);
    ended = reason;
    events.add(usage());
    events.add(failure == null ? new Event.End(reason) : new Event.Failure(failure));
    channel.end(events);
  }

  /** So many tokens of its prompt need not be computed. */
  synchronized void skipped(int prompt) {
    cachedTokens += prompt;
  }

  /** A step computed for it, between two times in nanoseconds. */
  synchronized void computed(long begin, long end) {
    if (firstStep == 0) {
      firstStep = begin;
    }
    steps++;
    if (firstToken != 0 || denoiser != null) {
      decodeNanos += end - begin;
    }
  }

  /** Takes a token into the answer; it may end it. */
  synchronized void accept(Event.Token token, boolean endToken, long now) {
    if (firstToken == 0) {
      firstToken = now;
    }
    if (endToken && !request.ignoreEnd()) {
      finish(FinishReason.END_TOKEN);
      return;
    }
    tokens.add(token);
    events.add(token);
    if (cursor != null) {
      cursor.accept(token.id());
    }
    if (decoder != null) {
      emit(stops.next(decoder.next(token.id())));
    }
    if (stops.isFound()) {
      finish(FinishReason.STOP_STRING);
    } else if (tokens.size() >= request.maxTokens()) {
      finish(FinishReason.MAX_TOKENS);
    } else {
      channel.put(events);
      events.clear();
    }
  }

  synchronized void finish(FinishReason reason) {
    finish = reason;
    if (decoder != null && !stops.isFound()) {
      emit(stops.next(decoder.finish()));
      if (!stops.isFound()) {
        emit(stops.finish());
      }
    }
  }

  private void emit(String piece) {
    if (!piece.isEmpty()) {
      text.append(piece);
      events.add(new Event.Text(piece));
    }
  }
}
