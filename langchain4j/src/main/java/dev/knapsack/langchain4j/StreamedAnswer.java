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

  /** Calls of tools so far. */
  private int calls;

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
      case Event.Call(Part.ToolCall call) -> called(call);
      case Event.End _ -> onCompleteResponse(handler, Responses.of(from, model.name()));
      case Event.Failure failure -> throw failure.thrown();
      case Event.Token _, Usage _ -> {}
    }
  }

  private void called(Part.ToolCall call) {
    int index = calls++;
    onPartialToolCall(
        handler,
        PartialToolCall.builder()
            .index(index)
            .id(call.id())
            .name(call.name())
            .partialArguments(call.arguments())
            .build(),
        this);
    if (!cancelled) {
      onCompleteToolCall(handler, new CompleteToolCall(index, Responses.call(call)));
    }
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
