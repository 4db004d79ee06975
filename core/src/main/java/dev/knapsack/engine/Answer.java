package dev.knapsack.engine;

import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.LogitsException;
import dev.knapsack.error.WaitInterruptedException;
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
 * An answer while it is being written: a bounded stream of text.
 *
 * <p>The engine's own thread writes it, together with others, and rests when {@value #AHEAD} tokens
 * wait to be taken: an answer that nobody takes from costs nothing then but its cache. It can be
 * taken from once, by one thread; {@link #cancel} and {@link #close} may be called by any.
 *
 * <p>While all sequences are busy an answer waits for one, in the order of asking, and holds
 * nothing but its prompt. As long as any waits, those that have a sequence are written to their end
 * whether someone takes from them or not, so that every turn comes.
 *
 * <p>Taking throws {@link dev.knapsack.error.ModelFileException} when weights cannot be read,
 * {@link LogitsException} when no token can be chosen, {@link
 * dev.knapsack.error.BudgetExceededException} when its cache does not fit although its turn has
 * come, {@link EngineClosedException} when the engine was closed before the end, and {@link
 * WaitInterruptedException} when the thread that takes is interrupted, which cancels this answer
 * and no other. So does a listener that throws.
 */
public final class Answer implements Iterable<String>, AutoCloseable {
  /** Tokens that may wait to be taken before the answer is written on. */
  static final int AHEAD = 32;

  private final Scheduler scheduler;
  final Request request;
  final Sampler sampler;
  final boolean reproducible;
  private final int promptTokens;
  private final @Nullable StreamDecoder decoder;
  private final StopStrings stops;
  private final long asked = System.nanoTime();

  // What follows is used on the engine's thread alone.

  Session session;

  /** Whether it waits for a sequence, and its session is idle until it has one. */
  boolean waiting;

  /** Answers to the same prompt that begin when this one has read it. */
  List<Answer> siblings = List.of();

  /** The answer that reads the prompt for this one, until it has. */
  @Nullable Answer leader;

  private @Nullable FinishReason finish;
  private boolean lost;

  // What follows is guarded by this object, which is locked for moments only.

  private final Deque<String> pieces = new ArrayDeque<>();
  private final StringBuilder text = new StringBuilder();
  private final Tokens tokens = new Tokens(16);

  /** Tokens that were written since somebody has last taken from it. */
  private int unread;

  private boolean taken;
  private boolean taking;
  private @Nullable FinishReason ended;
  private @Nullable Throwable failure;
  private int cachedTokens;
  private long firstStep;
  private long firstToken;
  private long decodeNanos;

  Answer(
      Scheduler scheduler,
      Session session,
      Request request,
      boolean reproducible,
      Sampler sampler,
      @Nullable StreamDecoder decoder) {
    this.scheduler = scheduler;
    this.session = session;
    this.request = request;
    this.reproducible = reproducible;
    this.promptTokens = request.prompt().length;
    this.sampler = sampler;
    this.decoder = decoder;
    this.stops = new StopStrings(request.stops());
  }

  /** Pieces of text as they come, each of whole characters; can be asked for once. */
  @Override
  public Iterator<String> iterator() {
    synchronized (this) {
      if (taken) {
        throw new IllegalStateException("The pieces of an answer can be taken once.");
      }
      taken = true;
    }
    return new Iterator<>() {
      private @Nullable String next;

      @Override
      public boolean hasNext() {
        if (next == null) {
          next = take();
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

  /** All text of the answer, once it has ended. */
  public String text() {
    synchronized (this) {
      taken = true;
    }
    while (take() != null) {
      // What is taken is in the text.
    }
    return textSoFar();
  }

  /** The next piece, once it is there; null after the last. */
  private @Nullable String take() {
    try {
      return awaitPiece();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      cancel();
      throw new WaitInterruptedException();
    }
  }

  private synchronized @Nullable String awaitPiece() throws InterruptedException {
    while (pieces.isEmpty() && ended == null) {
      taking = true;
      if (unread >= AHEAD) {
        scheduler.loop().wake();
      }
      try {
        wait();
      } finally {
        taking = false;
      }
    }
    String piece = pieces.poll();
    if (piece == null && failure != null) {
      switch (failure) {
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        default -> throw new IllegalStateException(failure);
      }
    }
    read();
    return piece;
  }

  private void read() {
    boolean full = unread >= AHEAD;
    unread = Math.min(unread, pieces.size());
    if (full && unread < AHEAD) {
      scheduler.loop().wake();
    }
  }

  /** The text so far, taken or not. */
  public synchronized String textSoFar() {
    return text.toString();
  }

  /** The tokens so far, without the one that ended the answer. */
  public synchronized int[] tokens() {
    return tokens.slice(0, tokens.size());
  }

  /** Why it ended; empty while it has not. */
  public synchronized Optional<FinishReason> finishReason() {
    return Optional.ofNullable(ended);
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
   * Whether it was computed as if nothing else were: its request named a seed, or the engine was
   * opened so.
   */
  public boolean isReproducible() {
    return reproducible;
  }

  public Stats stats() {
    long peak = Footprint.now().map(Footprint::peak).orElse(0L);
    synchronized (this) {
      return new Stats(
          promptTokens,
          cachedTokens,
          tokens.size(),
          firstToken == 0 ? 0 : (firstToken - firstStep) / 1e9,
          decodeNanos / 1e9,
          firstToken == 0 ? 0 : (firstToken - asked) / 1e9,
          peak);
    }
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
   * Whether a step should compute for it, as long as it has not ended: little waits to be taken.
   */
  boolean wanted() {
    return leader == null && (hasRoom() || siblings.stream().anyMatch(Answer::hasRoom));
  }

  private synchronized boolean hasRoom() {
    return taking || unread < AHEAD;
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

  /** Whether what its sequence holds cannot be gone on from. */
  boolean lost() {
    return lost;
  }

  void lose() {
    lost = true;
  }

  /** Ends it with a problem, if it has not ended. */
  synchronized void fail(Throwable problem) {
    if (finish == null) {
      failure = problem;
      finish = FinishReason.CANCELLED;
    }
  }

  /** Tells who takes from it that it has ended: all else about the end has been done. */
  synchronized void publish() {
    ended = finish;
    notifyAll();
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
    if (firstToken != 0) {
      decodeNanos += end - begin;
    }
  }

  /** Takes a token into the answer; it may end it. */
  synchronized void accept(int token, boolean endToken, long now) {
    if (firstToken == 0) {
      firstToken = now;
    }
    if (endToken && !request.ignoreEnd()) {
      finish(FinishReason.END_TOKEN);
      return;
    }
    tokens.add(token);
    unread++;
    if (decoder != null) {
      emit(stops.next(decoder.next(token)));
    }
    if (stops.found()) {
      finish(FinishReason.STOP_STRING);
    } else if (tokens.size() >= request.maxTokens()) {
      finish(FinishReason.MAX_TOKENS);
    }
  }

  synchronized void finish(FinishReason reason) {
    finish = reason;
    if (decoder != null && !stops.found()) {
      emit(stops.next(decoder.finish()));
      if (!stops.found()) {
        emit(stops.finish());
      }
    }
  }

  private void emit(String piece) {
    if (!piece.isEmpty()) {
      text.append(piece);
      pieces.add(piece);
      notifyAll();
    }
  }
}
