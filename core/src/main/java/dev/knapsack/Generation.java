package dev.knapsack;

import dev.knapsack.engine.Answer;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.text.answer.AnswerReader;
import dev.knapsack.text.answer.PartList;
import java.util.Iterator;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * An answer while it is being written: its text, and what else a model writes, told apart by the
 * form that its template shows.
 *
 * <p>It is taken from once and by one thread, as pieces of text ({@link #iterator}, {@link
 * #stream}), as {@link #events} or as a whole ({@link #text}, {@link #message}), and is written on
 * as it is taken. {@link #cancel} and {@link #close} may be called by any thread.
 *
 * <p>Taking throws {@link dev.knapsack.error.ModelFileException} when weights cannot be read,
 * {@link dev.knapsack.error.LogitsException} when no token can be chosen, {@link
 * dev.knapsack.error.BudgetExceededException} when its cache does not fit although its turn has
 * come, {@link dev.knapsack.error.EngineClosedException} when the model was closed before the end,
 * and {@link dev.knapsack.error.WaitInterruptedException} when the thread that takes is
 * interrupted, which cancels this answer and no other.
 */
public final class Generation implements Iterable<String>, AutoCloseable {
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
    if (readers == null) {
      return answer.events();
    }
    AnswerReader reader = readers.get();
    return answer
        .events()
        .mapMulti((event, events) -> {
          Consumer<Part> parts = part -> events.accept(event(part));
          if (event instanceof Event.Text(String piece)) {
            reader.next(piece, parts);
          } else {
            if (event instanceof Usage) { // no text comes after it
              reader.finish(parts);
            }
            events.accept(event);
          }
        });
  }

  private static Event event(Part part) {
    return switch (part) {
      case Part.Text(String text) -> new Event.Text(text);
      case Part.Reasoning(String text) -> new Event.Reasoning(text);
      case Part.ToolCall call -> new Event.Call(call);
      case Part.ToolResult _, Part.Media _ ->
          throw new IllegalStateException("no model's: " + part);
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

  /** The answer so far, taken or not. */
  public Message messageSoFar() {
    PartList parts = new PartList();
    String text = answer.textSoFar();
    if (readers != null) {
      AnswerReader reader = readers.get();
      reader.next(text, parts);
      reader.finish(parts);
    } else if (!text.isEmpty()) {
      parts.accept(new Part.Text(text));
    }
    return new Message(Role.ASSISTANT, parts.parts());
  }

  /** The tokens so far, without the one that ended the answer. */
  public int[] tokens() {
    return answer.tokens();
  }

  /** Why it ended; empty while it has not. */
  public Optional<FinishReason> finishReason() {
    return answer.finishReason();
  }

  /** The tokens and the time that it took so far. */
  public Usage usage() {
    return answer.usage();
  }

  /**
   * The seed that its tokens were drawn with.
   *
   * @see Answer#seed()
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
