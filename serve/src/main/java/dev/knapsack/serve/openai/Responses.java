package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.GenerationRequest;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.ConstraintFields;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * {@code /v1/responses}: the answer to items, which can go on from an earlier response that was
 * stored.
 */
public final class Responses {
  private final ServedModels models;
  private final OpenAiErrors errors;
  private final ResponseStore store;

  /** By id, those that are written in the background. */
  private final Map<String, Running> running = new ConcurrentHashMap<>();

  private record Running(String tenant, Answering answering, CompletableFuture<JsonObject> ended) {}

  public Responses(ServedModels models, OpenAiErrors errors, ResponseStore store) {
    this.models = models;
    this.errors = errors;
    this.store = store;
  }

  /** The question that a body asks which goes on from nothing. */
  static Question question(ServedModels models, Fields body) {
    if (body.has("previous_response_id")) {
      throw body.refusal(
          "previous_response_id", "cannot be given in a batch; give the whole 'input'");
    }
    if (body.flag("background", false)) {
      throw body.refusal("background", "cannot be given in a batch, which is written in it");
    }
    ServedModel model = models.named(body.text("model"));
    GenerationRequest request =
        wished(body, GenerationRequest.of(conversation(body, ItemsReader.items(body))));
    return new Question(
        model,
        List.of(request),
        1,
        answers -> new ResponseReply(model, body).whole(answers.getFirst().getFirst()));
  }

  /** {@code POST /v1/responses}. */
  public void create(Exchange exchange) {
    Fields body = exchange.fields();
    String tenant = exchange.receipt().tenant();
    ServedModel model = models.named(body.text("model"));
    JsonArray input = new JsonArray();
    body.text("previous_response_id")
        .map(id -> store.find(tenant, id))
        .ifPresent(before -> {
          if (before.response().get("status").getAsString().equals("queued")) {
            throw body.refusal("previous_response_id", "is of a response that has not ended");
          }
          input.addAll(before.input());
          input.addAll(before.response().getAsJsonArray("output"));
        });
    input.addAll(ItemsReader.items(body));
    boolean keeps = body.flag("store", true);
    boolean background = body.flag("background", false);
    if (background && (!keeps || body.flag("stream", false))) {
      throw body.refusal(
          "background", "is true; leave out 'stream', and 'store': ask for the response again");
    }
    try (Answering answering = answer(exchange, model, body, conversation(body, input))) {
      ResponseReply reply = new ResponseReply(model, body);
      if (background) {
        background(exchange, answering, reply, input);
        return;
      }
      if (body.flag("stream", false)) {
        reply.stream(
            exchange,
            answering,
            errors,
            response -> {
              if (keeps) {
                store.keep(tenant, response, input);
              }
            });
        return;
      }
      JsonObject response = reply.whole(answering.results().getFirst());
      if (keeps) {
        store.keep(tenant, response, input);
      }
      exchange.json(200, response);
    }
  }

  /**
   * Begins to answer; where the body allows it, without the oldest messages if all are too long.
   */
  private static Answering answer(
      Exchange exchange, ServedModel model, Fields body, Conversation said) {
    boolean shortens =
        body.oneOf("truncation", "disabled", Set.of("auto", "disabled")).equals("auto");
    Conversation conversation = said;
    while (true) {
      try {
        return model.answer(exchange, wished(body, GenerationRequest.of(conversation)), 1);
      } catch (ContextExceededException e) {
        List<Message> fewer = withoutOldest(conversation.messages());
        if (!shortens || fewer.isEmpty()) {
          throw e;
        }
        conversation = conversation.withMessages(fewer);
      }
    }
  }

  /**
   * The messages that are left without the oldest turn: up to the next message of the user; empty
   * if none is.
   */
  private static List<Message> withoutOldest(List<Message> messages) {
    List<Message> left = new ArrayList<>();
    int users = 0;
    for (Message message : messages) {
      boolean instructs = message.role() == Role.SYSTEM || message.role() == Role.DEVELOPER;
      users += message.role() == Role.USER ? 1 : 0;
      if (instructs || users > 1) {
        left.add(message);
      }
    }
    return users > 1 ? left : List.of();
  }

  private static Conversation conversation(Fields body, JsonArray input) {
    for (String other : List.of("conversation", "prompt")) {
      if (body.has(other)) {
        throw body.refusal(
            other, "is not known here; give 'input', and 'previous_response_id' to go on");
      }
    }
    List<Message> messages = new ArrayList<>();
    body.text("instructions")
        .filter(text -> !text.isEmpty())
        .ifPresent(text -> messages.add(Message.system(text)));
    messages.addAll(ItemsReader.messages(input));
    return new Conversation(
        messages,
        ToolFields.functions(body),
        ChatFields.variables(body.object("reasoning").flatMap(r -> r.text("effort")), body));
  }

  private static GenerationRequest wished(Fields body, GenerationRequest request) {
    GenerationRequest wished =
        ConstraintFields.hold(body, request).withSampling(SamplingFields.read(body));
    OptionalInt most = body.integer("max_output_tokens", 1, Integer.MAX_VALUE);
    return most.isPresent() ? wished.withMaxTokens(most.getAsInt()) : wished;
  }

  /** Answers at once, and writes on in the thread of the exchange, which ends with the answer. */
  private void background(
      Exchange exchange, Answering answering, ResponseReply reply, JsonArray input) {
    String tenant = exchange.receipt().tenant();
    Running written = new Running(tenant, answering, new CompletableFuture<>());
    running.put(reply.id(), written);
    JsonObject response = reply.begun();
    try {
      store.keep(tenant, response, input);
      exchange.header("Connection", "close"); // it takes no other request meanwhile
      exchange.json(200, response);
      response = reply.whole(answering.ends().getFirst());
    } catch (UncheckedIOException e) {
      answering.cancel(); // nobody knows of it
      store.remove(tenant, reply.id());
      throw e;
    } catch (RuntimeException e) {
      response = reply.failed(errors.body(Refusal.of(e, 1)).getAsJsonObject("error"));
    } finally {
      if (running.remove(reply.id(), written)) {
        store.keep(tenant, response, input);
      }
      written.ended.complete(response);
    }
  }

  /** {@code GET /v1/responses/{id}}. */
  public void get(Exchange exchange) {
    JsonObject response = kept(exchange).response();
    Running written = running.get(exchange.variable("id"));
    if (written != null && written.answering.answers().getFirst().usage().steps() > 0) {
      response.addProperty("status", "in_progress");
    }
    exchange.json(200, response);
  }

  /** {@code POST /v1/responses/{id}/cancel}. */
  public void cancel(Exchange exchange) {
    Running written = running.get(exchange.variable("id"));
    if (written != null && written.tenant.equals(exchange.receipt().tenant())) {
      written.answering.cancel();
      exchange.json(200, written.ended.join());
      return;
    }
    JsonObject response = kept(exchange).response();
    if (!response.get("background").getAsBoolean()) {
      throw Refusal.of(
          Refusal.Kind.BAD_REQUEST,
          "not_in_background",
          "Only responses that were asked for with 'background' can be cancelled; for others, close"
              + " the connection.");
    }
    exchange.json(200, response);
  }

  /** {@code GET /v1/responses/{id}/input_items}. */
  public void inputItems(Exchange exchange) {
    exchange.json(
        200, Json.object("object", "list", "data", kept(exchange).input(), "has_more", false));
  }

  private ResponseStore.Kept kept(Exchange exchange) {
    return store.find(exchange.receipt().tenant(), exchange.variable("id"));
  }

  /** {@code DELETE /v1/responses/{id}}. */
  public void delete(Exchange exchange) {
    String id = exchange.variable("id");
    store.remove(exchange.receipt().tenant(), id);
    Running written = running.remove(id);
    if (written != null) {
      written.answering.cancel();
    }
    exchange.json(200, Json.object("id", id, "object", "response", "deleted", true));
  }
}
