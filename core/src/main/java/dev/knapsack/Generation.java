package dev.knapsack;

import dev.knapsack.engine.Answer;
import dev.knapsack.error.StructuredAnswerException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import dev.knapsack.text.answer.AnswerReader;
import dev.knapsack.text.answer.PartList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * An answer while it is being written: its text, and what else a model writes, told apart by the
 * form that its template shows.
 *
 * <p>It is taken from once and by one thread, as pieces of text ({@link #iterator}, {@link
 * #stream}), as {@link #events}, by a {@linkplain #publisher subscriber} or as a whole ({@link
 * #text}, {@link #message}, {@link #result}), and is written on as it is taken, or when others wait
 * for its sequence. {@link #cancel} and {@link #close} may be called by any thread.
 *
 * <p>Taking throws {@link dev.knapsack.error.ModelFileException} when weights cannot be read,
 * {@link dev.knapsack.error.LogitsException} when no token can be chosen, {@link
 * dev.knapsack.error.BudgetExceededException} when its cache does not fit although its turn has
 * come, {@link dev.knapsack.error.EngineClosedException} when the model was closed before the end,
 * and {@link dev.knapsack.error.WaitInterruptedException} when the thread that takes is
 * interrupted, which cancels this answer and no other.
 */
public final class Generation implements Iterable<String>, AutoCloseable {
  /**
   * An answer that has ended.
   *
   * @param tokens those of all that was written, in order
   */
  public record Result(
      Message message, List<Event.Token> tokens, Usage usage, FinishReason reason) {
    public Result {
      tokens = List.copyOf(tokens);
    }
  }

  private final Answer answer;

  /** Readers for the answer's text, from its beginning; null where all of it is text. */
  private final @Nullable Supplier<AnswerReader> readers;

  Generation(Answer answer, @Nullable Supplier<AnswerReader> readers) {
    this.answer = answer;
    this.readers = readers;
  }

  /** Pieces of text as they come, each of whole characters, without reasoning and calls. */
  @Override
  public Iterator<String> iterator() {
    return stream().iterator();
  }

  /** The same pieces as a stream; closing it closes the answer. */
  public Stream<String> stream() {
    return Event.texts(events());
  }

  /**
   * All that happens, as it happens; can be asked for once. Closing the stream closes the answer.
   */
  public Stream<Event> events() {
    return answer.events().mapMulti(reading());
  }

  /**
   * The same events for one subscriber, in a thread of its own, no more of them than it has
   * requested. In place of a {@link Event.Failure} comes {@code onError}. Cancelling the
   * subscription cancels the answer; so does a subscriber that throws.
   */
  public Flow.Publisher<Event> publisher() {
    return answer.publisher(reading());
  }

  /** Reads text as the parts that it is. */
  private BiConsumer<Event, Consumer<Event>> reading() {
    if (readers == null) {
      return (event, events) -> events.accept(event);
    }
    AnswerReader reader = readers.get();
    return (event, events) -> {
      if (event instanceof Event.Text(String piece)) {
        reader.next(piece, events);
      } else {
        if (event instanceof Usage) { // no text comes after it
          reader.finish(events);
        }
        events.accept(event);
      }
    };
  }

  /** All text, once the answer has ended, without reasoning and calls. */
  public String text() {
    return message().text();
  }

  /** The answer, once it has ended. */
  public Message message() {
    answer.text();
    return messageSoFar();
  }

  /**
   * The answer, once it has ended, as a value of the type that it was {@linkplain
   * GenerationRequest#withAnswerType held to}.
   *
   * @throws dev.knapsack.error.StructuredAnswerException if it ended before it was whole, such as
   *     by its length, if it calls tools in place of a text, or if a constructor of the type
   *     refuses what it says
   */
  public <T> T as(Class<T> type) {
    StructuredType structured = new StructuredType(type);
    Message whole = message();
    FinishReason reason = finishReason().orElse(FinishReason.FAILED);
    if (reason != FinishReason.END_TOKEN) {
      throw new StructuredAnswerException(
          "The answer was to be a %s, and ended after %,d tokens (%s) before it was whole. Allow more tokens, or ask for less."
              .formatted(type.getSimpleName(), tokens().length, reason),
          whole.text(),
          null);
    }
    if (!whole.calls().isEmpty()) {
      throw new StructuredAnswerException(
          "The answer was to be a %s, and calls %s. Give the results of its calls, or ask with ToolChoice.NONE."
              .formatted(type.getSimpleName(), whole.calls().getFirst().name()),
          whole.text(),
          null);
    }
    return type.cast(structured.read(whole.text()));
  }

  /**
   * The whole answer, once it has ended, or what {@link #text} would throw. Cancelling the future
   * that it is cancels the answer.
   */
  public CompletionStage<Result> result() {
    return answer.result(
        whole -> new Result(message(whole.text()), whole.tokens(), whole.usage(), whole.reason()));
  }

  /** The answer so far, taken or not. */
  public Message messageSoFar() {
    return message(answer.textSoFar());
  }

  private Message message(String text) {
    PartList parts = new PartList();
    if (readers != null) {
      AnswerReader reader = readers.get();
      reader.next(text, parts);
      reader.finish(parts);
    } else if (!text.isEmpty()) {
      parts.accept(new Event.Text(text));
    }
    return new Message(Role.ASSISTANT, parts.parts());
  }

  /** The tokens so far, without the one that ended the answer. */
  public int[] tokens() {
    return answer.tokens();
  }

  /** The reason why it ended; empty while it has not. */
  public Optional<FinishReason> finishReason() {
    return answer.finishReason();
  }

  /** The stop string that ended it; empty if none has. */
  public Optional<String> stopString() {
    return answer.stopString();
  }

  /** The tokens and the time that it took so far. */
  public Usage usage() {
    return answer.usage();
  }

  /** Bytes of cache that are kept for it alone now. */
  public long cacheBytes() {
    return answer.cacheBytes();
  }

  /**
   * The seed that its tokens were drawn with. The same request with this seed gives the same answer
   * again, bit for bit, whatever is computed beside it: with the same plan, kernels and processor,
   * and in a chat after the same turns. That holds of this answer itself where it {@link
   * #isReproducible}; of others, neighbours may have changed the rounding, and so a token.
   */
  public long seed() {
    return answer.seed();
  }

  /** Says whether it was computed as if nothing else were. */
  public boolean isReproducible() {
    return answer.isReproducible();
  }

  /** Ends the answer where it is, if it has not ended; what was written can still be taken. */
  public void cancel() {
    answer.cancel();
  }

  /** Cancels. */
  @Override
  public void close() {
    answer.close();
  }
}
