package dev.knapsack.serve.ollama;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Sampling;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.serve.ConstraintFields;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.Thinking;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Refusal;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads requests as clients of Ollama's API write them. */
final class RequestFields {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");

  /** Tokens that penalties look at where a request does not say. */
  private static final int USUAL_WINDOW = 64;

  private RequestFields() {}

  /** The request for the next message. */
  static GenerationRequest chat(Fields body) {
    List<Message> messages = body.objects("messages").stream().map(RequestFields::message).toList();
    return wished(
        GenerationRequest.of(
            new Conversation(messages, ToolFields.functions(body), variables(body))),
        body);
  }

  /** The request for a text that goes on from a prompt, which is the user's unless it is raw. */
  static GenerationRequest generate(Fields body) {
    if (!body.text("suffix", "").isEmpty()) {
      throw body.refusal("suffix", "cannot be given: the models here write from left to right");
    }
    if (!body.text("template", "").isEmpty()) {
      throw body.refusal("template", "cannot be given; leave it out, or write the prompt raw");
    }
    refuseImages(body);
    String prompt = body.needed("prompt");
    if (body.flag("raw", false)) {
      return wished(GenerationRequest.ofText(prompt, true), body);
    }
    List<Message> messages = new ArrayList<>();
    String system = body.text("system", "");
    if (!system.isEmpty()) {
      messages.add(Message.system(system));
    }
    messages.add(Message.user(prompt));
    return wished(
        GenerationRequest.of(new Conversation(messages, List.of(), variables(body))), body);
  }

  private static GenerationRequest wished(GenerationRequest request, Fields body) {
    Fields options = body.object("options").orElseGet(() -> Fields.of(new JsonObject()));
    Sampling sampling = SamplingFields.read(options);
    if (!options.has("repeat_last_n") && sampling.penalises()) {
      sampling =
          sampling.withPenalties(
              sampling.repetitionPenalty(),
              sampling.presencePenalty(),
              sampling.frequencyPenalty(),
              USUAL_WINDOW);
    }
    GenerationRequest wished =
        held(body, request)
            .withSampling(sampling)
            .withStops(options.texts("stop").toArray(String[]::new));
    int most = options.integer("num_predict", -2, Integer.MAX_VALUE).orElse(-1);
    if (most == 0) {
      throw options.refusal("num_predict", "is 0; give 1 or more, or -1 for as many as there come");
    }
    return most > 0 ? wished.withMaxTokens(most) : wished;
  }

  /** Holds a request to its {@code format}: {@code json}, or a schema. */
  private static GenerationRequest held(Fields body, GenerationRequest request) {
    if (body.flag("logprobs", false)) {
      throw body.refusal("logprobs", "cannot be had in this API; OpenAI's has them here");
    }
    return switch (body.get("format")) {
      case null -> request;
      case JsonObject schema -> request.withConstraint(ConstraintFields.schema(schema));
      case JsonPrimitive p when p.getAsString().isEmpty() -> request;
      case JsonPrimitive p when p.getAsString().equals("json") ->
          request.withConstraint(new Constraint.Json());
      default -> throw body.refusal("format", "must be 'json' or a JSON Schema");
    };
  }

  private static Message message(Fields message) {
    refuseImages(message);
    Role role = Role.of(message.oneOf("role", message.needed("role"), ROLES));
    String text = message.text("content", "");
    return switch (role) {
      case TOOL ->
          new Message(role, List.of(new Part.ToolResult(message.text("tool_call_id", ""), text)));
      case ASSISTANT -> new Message(role, said(message, text));
      default -> new Message(role, List.of(new Part.Text(text)));
    };
  }

  private static List<Part> said(Fields message, String text) {
    List<Part> parts = new ArrayList<>();
    String thoughts = message.text("thinking", "");
    if (!thoughts.isEmpty()) {
      parts.add(new Part.Reasoning(thoughts));
    }
    if (!text.isEmpty()) {
      parts.add(new Part.Text(text));
    }
    for (Fields call : message.objects("tool_calls")) {
      Fields function =
          call.object("function")
              .orElseThrow(() -> call.refusal("function", "is missing; it must be an object"));
      parts.add(ToolFields.call(call.text("id", ""), function, "arguments"));
    }
    return parts;
  }

  /**
   * Refuses pictures.
   *
   * @throws Refusal if there are any
   */
  private static void refuseImages(Fields fields) {
    if (!fields.array("images").orElseGet(JsonArray::new).isEmpty()) {
      throw fields.refusal("images", "cannot be given: the models here read text only");
    }
  }

  private static Map<String, Object> variables(Fields body) {
    return switch (body.get("think")) {
      case null -> Map.of();
      case JsonPrimitive p when p.isString() -> Thinking.effort(p.getAsString());
      default -> Thinking.wanted(body.flag("think", true));
    };
  }
}
