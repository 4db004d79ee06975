package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.ConstraintFields;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.SamplingFields;
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
import java.util.OptionalInt;
import java.util.function.UnaryOperator;

/**
 * {@code POST /v1/completions}: texts that go on from prompts. A prompt is read as it is written,
 * special tokens included.
 */
public final class Completions {
  /** Tokens of an answer whose request does not say how many it may have, as the API has it. */
  private static final int USUAL_TOKENS = 16;

  private final ServedModels models;
  private final OpenAiErrors errors;

  public Completions(ServedModels models, OpenAiErrors errors) {
    this.models = models;
    this.errors = errors;
  }

  /** The question that a body asks. */
  static Question question(ServedModels models, Fields body) {
    ServedModel model = models.named(body.text("model"));
    if (!body.text("suffix", "").isEmpty()) {
      throw body.refusal("suffix", "cannot be given: the models here write from left to right");
    }
    OptionalInt logProbabilities = body.integer("logprobs", 0, 20);
    int most = body.integer("max_tokens", -1, Integer.MAX_VALUE).orElse(USUAL_TOKENS);
    UnaryOperator<GenerationRequest> wishes =
        request -> {
          GenerationRequest wished =
              ConstraintFields.hold(body, request)
                  .withSampling(SamplingFields.read(body))
                  .withIgnoreEnd(body.flag("ignore_eos", false))
                  .withStops(body.texts("stop").toArray(String[]::new));
          wished = most > 0 ? wished.withMaxTokens(most) : wished;
          return logProbabilities.isPresent()
              ? wished.withLogProbabilities(logProbabilities.getAsInt())
              : wished;
        };
    List<GenerationRequest> prompts = prompts(body).stream().map(wishes).toList();
    boolean echo = body.flag("echo", false);
    return new Question(
        model,
        prompts,
        body.integer("n", 1, 128).orElse(1),
        answers -> new Reply(model, echo).whole(prompts, answers));
  }

  /** Answers one request. */
  public void handle(Exchange exchange) {
    Fields body = exchange.fields();
    Question question = question(models, body);
    if (!body.flag("stream", false)) {
      List<List<Generation.Result>> answers = new ArrayList<>();
      for (GenerationRequest prompt : question.prompts()) {
        try (Answering answering = question.model().answer(exchange, prompt, question.samples())) {
          answers.add(answering.results());
        }
      }
      exchange.json(200, question.reply().apply(answers));
      return;
    }
    if (question.prompts().size() > 1) {
      throw body.refusal("prompt", "has several prompts, which cannot be streamed; give one");
    }
    GenerationRequest prompt = question.prompts().getFirst();
    try (Answering answering = question.model().answer(exchange, prompt, question.samples());
        EventStream stream = exchange.events()) {
      new Reply(question.model(), body.flag("echo", false))
          .stream(stream, answering, errors, prompt);
    }
  }

  private static List<GenerationRequest> prompts(Fields body) {
    JsonElement prompt = body.get("prompt");
    if (prompt instanceof JsonArray list && !list.isEmpty()) {
      if (list.asList().stream().allMatch(Completions::isNumber)) {
        return List.of(prompt(body, list));
      }
      return list.asList().stream().map(item -> prompt(body, item)).toList();
    }
    if (prompt == null) {
      throw body.refusal("prompt", "is missing; it must be a string or a list");
    }
    return List.of(prompt(body, prompt));
  }

  private static boolean isNumber(JsonElement item) {
    return item instanceof JsonPrimitive p && p.isNumber();
  }

  private static GenerationRequest prompt(Fields body, JsonElement prompt) {
    if (prompt instanceof JsonPrimitive p && p.isString()) {
      return GenerationRequest.ofText(p.getAsString(), true);
    }
    if (prompt instanceof JsonArray tokens
        && tokens.asList().stream().allMatch(Completions::isNumber)) {
      return GenerationRequest.ofTokens(
          tokens.asList().stream().mapToInt(JsonElement::getAsInt).toArray());
    }
    throw body.refusal("prompt", "must be a string, a list of tokens, or a list of those");
  }

  /** One reply, which may have several choices. */
  private static final class Reply {
    private final String id = Ids.next("cmpl-");
    private final long created = Instant.now().getEpochSecond();
    private final ServedModel model;
    private final boolean echo;

    Reply(ServedModel model, boolean echo) {
      this.model = model;
      this.echo = echo;
    }

    JsonObject whole(List<GenerationRequest> prompts, List<List<Generation.Result>> answers) {
      JsonArray choices = new JsonArray();
      List<Usage> usage = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        for (Generation.Result result : answers.get(i)) {
          choices.add(choice(choices.size(), prompts.get(i), result));
          usage.add(result.usage());
        }
      }
      JsonObject reply = head(choices);
      reply.add("usage", UsageJson.sum(model, usage, answers.getFirst().size()));
      return reply;
    }

    private JsonObject choice(int index, GenerationRequest prompt, Generation.Result result) {
      return choice(
          index,
          (echo ? text(prompt) : "") + result.message().text(),
          prompt.logProbabilities().isPresent()
              ? LogProbabilities.completion(model.knapsack(), result.tokens(), 0)
              : Json.nothing(),
          Json.text(ChatCompletions.reason(result.reason(), false)));
    }

    private String text(GenerationRequest prompt) {
      return switch (prompt.prompt()) {
        case GenerationRequest.Prompt.Text(String text, boolean _) -> text;
        case GenerationRequest.Prompt.Tokens tokens -> model.knapsack().text(tokens.ids());
        case GenerationRequest.Prompt.Talk _ -> "";
      };
    }

    private JsonObject head(JsonArray of) {
      return Json.object(
          "id", id,
          "object", "text_completion",
          "created", created,
          "model", model.name(),
          "choices", of);
    }

    private static JsonObject choice(
        int index, String text, JsonElement logProbabilities, JsonElement reason) {
      return Json.object(
          "index", index, "text", text, "logprobs", logProbabilities, "finish_reason", reason);
    }

    void stream(
        EventStream stream, Answering answering, OpenAiErrors errors, GenerationRequest prompt) {
      int count = answering.answers().size();
      List<List<Event.Token>> tokens = new ArrayList<>();
      int[] offsets = new int[count];
      List<Usage> usage = new ArrayList<>();
      int[] ended = {0};
      for (int i = 0; i < count; i++) {
        tokens.add(new ArrayList<>());
        if (echo) {
          stream.data(head(Json.array(choice(i, text(prompt), Json.nothing(), Json.nothing()))));
        }
      }
      boolean wanted = prompt.logProbabilities().isPresent();
      answering.each((index, event) -> {
        switch (event) {
          case Event.Token token -> tokens.get(index).add(token);
          case Event.Text(String text) -> {
            JsonElement measured =
                wanted
                    ? LogProbabilities.completion(
                        model.knapsack(), tokens.get(index), offsets[index])
                    : Json.nothing();
            offsets[index] += text.length();
            tokens.get(index).clear();
            stream.data(head(Json.array(choice(index, text, measured, Json.nothing()))));
          }
          case Usage all -> usage.add(all);
          case Event.End(FinishReason reason) -> {
            if (reason != FinishReason.CANCELLED) {
              ended[0]++;
              stream.data(
                  head(
                      Json.array(
                          choice(
                              index,
                              "",
                              Json.nothing(),
                              Json.text(ChatCompletions.reason(reason, false))))));
            }
          }
          case Event.Failure(Throwable problem) ->
              stream.event("error", errors.body(Refusal.of(problem, 1)));
          case Event.Reasoning _, Event.CallBegins _, Event.Arguments _, Event.Call _ ->
              throw new IllegalStateException("no part of a plain text: " + event);
        }
      });
      if (ended[0] == count) {
        JsonObject last = head(new JsonArray());
        last.add("usage", UsageJson.of(model, usage));
        stream.data(last);
        stream.data("[DONE]");
      }
    }
  }
}
