package dev.knapsack.langchain4j;

import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.onCompleteResponse;
import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.onCompleteToolCall;
import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.onPartialResponse;
import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.onPartialThinking;
import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.onPartialToolCall;
import static dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils.withLoggingExceptions;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Part;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialToolCall;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.Iterator;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One answer on its way to a handler, in a thread of its own. What a handler throws is told to the
 * handler itself, and the answer goes on, as LangChain4j has it.
 */
final class StreamedAnswer implements Runnable, StreamingHandle {
  private final OpenModel model;
  private final GenerationRequest request;
  private final StreamingChatResponseHandler handler;

  private volatile @Nullable Generation answer;
  private volatile boolean cancelled;

  /** The call of a tool that has begun. */
  private Event.@Nullable CallBegins call;

  StreamedAnswer(OpenModel model, GenerationRequest request, StreamingChatResponseHandler handler) {
    this.model = model;
    this.request = request;
    this.handler = handler;
  }

  @Override
  public void run() {
    try (Generation started = model.knapsack().generate(request);
        Stream<Event> events = started.events()) {
      answer = started;
      Iterator<Event> each = events.iterator();
      while (!cancelled && each.hasNext()) {
        Event event = each.next();
        if (!cancelled) {
          tell(event, started);
        }
      }
    } catch (RuntimeException e) {
      if (!cancelled) {
        failed(Failures.answering(e));
      }
    } catch (Error e) {
      failed(e);
      throw e;
    }
  }

  private void tell(Event event, Generation from) {
    switch (event) {
      case Event.Text(String piece) -> onPartialResponse(handler, piece, this);
      case Event.Reasoning(String piece) -> onPartialThinking(handler, piece, this);
      case Event.CallBegins begins -> call = begins;
      case Event.Arguments(int index, String piece) ->
          onPartialToolCall(handler, partial(index, piece), this);
      case Event.Call(int index, Part.ToolCall whole) ->
          onCompleteToolCall(handler, new CompleteToolCall(index, Responses.call(whole)));
      case Event.End _ -> onCompleteResponse(handler, Responses.of(from, model.name()));
      case Event.Failure failure -> throw failure.thrown();
      case Event.Token _, Usage _ -> {}
    }
  }

  private PartialToolCall partial(int index, String piece) {
    Event.CallBegins begun = Objects.requireNonNull(call);
    return PartialToolCall.builder()
        .index(index)
        .id(begun.id())
        .name(begun.name())
        .partialArguments(piece)
        .build();
  }

  private void failed(Throwable problem) {
    withLoggingExceptions(() -> handler.onError(problem));
  }

  @Override
  public void cancel() {
    cancelled = true;
    Generation started = answer;
    if (started != null) {
      started.cancel();
    }
  }

  @Override
  public boolean isCancelled() {
    return cancelled;
  }
}
