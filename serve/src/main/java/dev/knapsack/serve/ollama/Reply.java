package dev.knapsack.serve.ollama;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.serve.Costs;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;

/** An answer as one object, or as lines. */
final class Reply {
  /** The two forms of what is said. */
  enum Form {
    /** A message, of {@code /api/chat}. */
    MESSAGE,
    /** A text, of {@code /api/generate}. */
    TEXT
  }

  private final ServedModel model;
  private final String name;
  private final Form form;
  private final DoubleSupplier seconds;
  private final Consumer<JsonElement> lines;
  private int calls;
  private Usage usage = Usage.NONE;

  /**
   * @param name the model's, as it was asked for
   * @param seconds since the request came
   */
  Reply(
      ServedModel model,
      String name,
      Form form,
      DoubleSupplier seconds,
      Consumer<JsonElement> lines) {
    this.model = model;
    this.name = name;
    this.form = form;
    this.seconds = seconds;
    this.lines = lines;
  }

  /** The whole answer. */
  JsonObject whole(Generation.Result result) {
    usage = result.usage();
    Message said = result.message();
    StringBuilder thoughts = new StringBuilder();
    List<JsonElement> called = new ArrayList<>();
    for (Part part : said.parts()) {
      switch (part) {
        case Part.Reasoning(String text) -> thoughts.append(text);
        case Part.ToolCall call -> called.add(call(call));
        case Part.Text _, Part.ToolResult _, Part.Media _ -> {}
      }
    }
    return end(piece(said.text(), thoughts.toString(), called), word(result.reason()));
  }

  /** The answer to a request that says nothing, which is sent to have a model opened. */
  JsonObject loaded() {
    return end(piece("", "", List.of()), "load");
  }

  /** Takes the next event of the answer. */
  void next(Event event) {
    switch (event) {
      case Event.Text(String text) -> line(piece(text, "", List.of()));
      case Event.Reasoning(String text) -> line(piece("", text, List.of()));
      case Event.Call(int _, Part.ToolCall call) -> line(piece("", "", List.of(call(call))));
      case Event.CallBegins _, Event.Arguments _, Event.Token _ -> {} // calls come whole here
      case Usage all -> usage = all;
      case Event.End(FinishReason reason) -> {
        if (reason != FinishReason.CANCELLED) {
          lines.accept(end(piece("", "", List.of()), word(reason)));
        }
      }
      case Event.Failure(Throwable problem) ->
          lines.accept(new OllamaErrors().body(Refusal.of(problem, 1)));
    }
  }

  private void line(JsonObject piece) {
    piece.addProperty("done", false);
    lines.accept(piece);
  }

  private JsonObject piece(String text, String thoughts, List<JsonElement> called) {
    JsonObject piece = Json.object("model", name, "created_at", Instant.now().toString());
    JsonObject said = form == Form.MESSAGE ? Json.object("role", "assistant") : piece;
    said.addProperty(form == Form.MESSAGE ? "content" : "response", text);
    if (!thoughts.isEmpty()) {
      said.addProperty("thinking", thoughts);
    }
    if (!called.isEmpty()) {
      said.add("tool_calls", Json.array(called));
    }
    if (form == Form.MESSAGE) {
      piece.add("message", said);
    }
    return piece;
  }

  private JsonObject call(Part.ToolCall call) {
    return Json.object(
        "id",
        call.id(),
        "function",
        Json.object(
            "index", calls++, "name", call.name(), "arguments", ToolFields.arguments(call)));
  }

  private JsonObject end(JsonObject piece, String reason) {
    piece.addProperty("done", true);
    piece.addProperty("done_reason", reason);
    count(piece, "total_duration", nanoseconds(seconds.getAsDouble()));
    count(piece, "prompt_eval_count", usage.promptTokens());
    count(piece, "prompt_eval_duration", nanoseconds(usage.prefillSeconds()));
    count(piece, "eval_count", usage.tokens());
    count(piece, "eval_duration", nanoseconds(usage.decodeSeconds()));
    if (usage.steps() > 0) {
      piece.add("knapsack", Costs.of(model, usage));
    }
    return piece;
  }

  /** Counts that are 0 are left out, as clients know it. */
  private static void count(JsonObject piece, String field, long value) {
    if (value != 0) {
      piece.addProperty(field, value);
    }
  }

  private static long nanoseconds(double seconds) {
    return Math.round(seconds * 1e9);
  }

  private static String word(FinishReason reason) {
    return switch (reason) {
      case END_TOKEN, STOP_STRING -> "stop";
      case MAX_TOKENS, CONTEXT_FULL, DEADLINE -> "length";
      case CANCELLED, FAILED -> throw new IllegalStateException("no answer: " + reason);
    };
  }
}
