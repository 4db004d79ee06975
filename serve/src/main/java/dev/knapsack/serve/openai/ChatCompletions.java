package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** {@code POST /v1/chat/completions}: the next message of a conversation, whole or in pieces. */
public final class ChatCompletions {
  private final ServedModels models;
  private final OpenAiErrors errors;

  public ChatCompletions(ServedModels models, OpenAiErrors errors) {
    this.models = models;
    this.errors = errors;
  }

  /** The question that a body asks. */
  static Question question(ServedModels models, Fields body) {
    ServedModel model = models.named(body.text("model"));
    GenerationRequest request = ChatFields.read(body);
    return new Question(
        model,
        List.of(request),
        body.integer("n", 1, 128).orElse(1),
        answers -> new Reply(model, request).whole(answers.getFirst()));
  }

  /** Answers one request. */
  public void handle(Exchange exchange) {
    Fields body = exchange.fields();
    Question question = question(models, body);
    GenerationRequest request = question.prompts().getFirst();
    try (Answering answering = question.model().answer(exchange, request, question.samples())) {
      if (body.flag("stream", false)) {
        boolean usage =
            body.object("stream_options").map(o -> o.flag("include_usage", true)).orElse(true);
        new Reply(question.model(), request).stream(exchange, answering, errors, usage);
      } else {
        exchange.json(200, question.reply().apply(List.of(answering.results())));
      }
    }
  }

  /** One reply, which may have several choices. */
  private static final class Reply {
    private final String id = Ids.next("chatcmpl-");
    private final long created = Instant.now().getEpochSecond();
    private final ServedModel model;
    private final boolean logProbabilities;

    Reply(ServedModel model, GenerationRequest request) {
      this.model = model;
      this.logProbabilities = request.logProbabilities().isPresent();
    }

    JsonObject whole(List<Generation.Result> results) {
      JsonArray choices = new JsonArray();
      for (Generation.Result result : results) {
        Message said = result.message();
        JsonObject message =
            Json.object("role", "assistant", "content", said.text(), "refusal", Json.nothing());
        String reasoning = reasoning(said);
        if (!reasoning.isEmpty()) {
          message.addProperty("reasoning_content", reasoning);
        }
        List<Part.ToolCall> calls = said.calls();
        if (!calls.isEmpty()) {
          if (said.text().isEmpty()) {
            message.add("content", Json.nothing());
          }
          message.add("tool_calls", Json.array(calls.stream().map(ChatCompletions::call).toList()));
        }
        choices.add(
            Json.object(
                "index",
                choices.size(),
                "message",
                message,
                "logprobs",
                logProbabilities
                    ? LogProbabilities.chat(model.knapsack(), result.tokens())
                    : Json.nothing(),
                "finish_reason",
                reason(result.reason(), !calls.isEmpty())));
      }
      JsonObject reply = head("chat.completion", choices);
      reply.add(
          "usage", UsageJson.of(model, results.stream().map(Generation.Result::usage).toList()));
      return reply;
    }

    private JsonObject head(String object, JsonArray choices) {
      return Json.object(
          "id", id,
          "object", object,
          "created", created,
          "model", model.name(),
          "system_fingerprint", "knapsack-0.1.0",
          "choices", choices);
    }

    void stream(Exchange exchange, Answering answering, OpenAiErrors errors, boolean withUsage) {
      try (EventStream stream = exchange.events()) {
        int count = answering.answers().size();
        List<Choice> choices = new ArrayList<>();
        for (int i = 0; i < count; i++) {
          choices.add(new Choice(i, stream, errors));
        }
        answering.each((index, event) -> choices.get(index).next(event));
        if (choices.stream().allMatch(c -> c.ended)) {
          if (withUsage) {
            JsonObject last = head("chat.completion.chunk", new JsonArray());
            last.add("usage", UsageJson.of(model, choices.stream().map(c -> c.usage).toList()));
            stream.data(last);
          }
          stream.data("[DONE]");
        }
      }
    }

    /** One answer, in chunks. */
    private final class Choice {
      private final int index;
      private final EventStream stream;
      private final OpenAiErrors errors;
      private final List<Event.Token> tokens = new ArrayList<>();
      private Usage usage = Usage.NONE;
      private int calls;
      private boolean begun;
      private boolean ended;

      Choice(int index, EventStream stream, OpenAiErrors errors) {
        this.index = index;
        this.stream = stream;
        this.errors = errors;
      }

      void next(Event event) {
        switch (event) {
          case Event.Text(String text) -> delta(Json.object("content", text));
          case Event.Reasoning(String text) -> delta(Json.object("reasoning_content", text));
          case Event.CallBegins(int number, String its, String name) -> {
            calls++;
            callPiece(number, call(new Part.ToolCall(its, name, "")));
          }
          case Event.Arguments(int number, String piece) ->
              callPiece(number, Json.object("function", Json.object("arguments", piece)));
          case Event.Call _ -> {} // its pieces have come
          case Event.Token token -> {
            if (logProbabilities) {
              tokens.add(token);
            }
          }
          case Usage all -> usage = all;
          case Event.End(FinishReason reason) -> {
            if (reason != FinishReason.CANCELLED) {
              ended = true;
              chunk(new JsonObject(), Json.text(reason(reason, calls > 0)));
            }
          }
          case Event.Failure(Throwable problem) ->
              stream.event("error", errors.body(Refusal.of(problem, 1)));
        }
      }

      private void callPiece(int number, JsonObject piece) {
        piece.addProperty("index", number);
        delta(Json.object("tool_calls", Json.array(piece)));
      }

      private void delta(JsonObject delta) {
        chunk(delta, Json.nothing());
      }

      private void chunk(JsonObject delta, JsonElement finish) {
        if (!begun) {
          begun = true;
          delta.addProperty("role", "assistant");
        }
        JsonObject choice =
            Json.object(
                "index", index,
                "delta", delta,
                "logprobs",
                    tokens.isEmpty()
                        ? Json.nothing()
                        : LogProbabilities.chat(model.knapsack(), tokens),
                "finish_reason", finish);
        tokens.clear();
        stream.data(head("chat.completion.chunk", Json.array(choice)));
      }
    }
  }

  private static String reasoning(Message said) {
    StringBuilder text = new StringBuilder();
    for (Part part : said.parts()) {
      if (part instanceof Part.Reasoning(String piece)) {
        text.append(piece);
      }
    }
    return text.toString();
  }

  private static JsonObject call(Part.ToolCall call) {
    return Json.object(
        "id", call.id(),
        "type", "function",
        "function", Json.object("name", call.name(), "arguments", call.arguments()));
  }

  static String reason(FinishReason reason, boolean calls) {
    return switch (reason) {
      case END_TOKEN, STOP_STRING -> calls ? "tool_calls" : "stop";
      case MAX_TOKENS, CONTEXT_FULL, DEADLINE -> "length";
      case CANCELLED, FAILED -> "stop"; // whoever would read it has gone, or been told otherwise
    };
  }
}
