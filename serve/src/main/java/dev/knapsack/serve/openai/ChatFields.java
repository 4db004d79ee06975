package dev.knapsack.serve.openai;

import dev.knapsack.GenerationRequest;
import dev.knapsack.message.Conversation;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.http.Fields;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** Reads a request for a chat completion. */
public final class ChatFields {
  /** Values of {@code reasoning_effort} that mean that a model should not think. */
  private static final String NO_EFFORT = "none";

  private ChatFields() {}

  static GenerationRequest read(Fields body) {
    GenerationRequest request =
        GenerationRequest.of(conversation(body))
            .withSampling(SamplingFields.read(body))
            .withStops(body.texts("stop").toArray(String[]::new));
    OptionalInt most = body.integer("max_completion_tokens", -1, Integer.MAX_VALUE);
    if (most.isEmpty()) {
      most = body.integer("max_tokens", -1, Integer.MAX_VALUE);
    }
    if (most.isPresent() && most.getAsInt() == 0) {
      throw body.refusal("max_tokens", "is 0; give 1 or more");
    }
    if (most.isPresent() && most.getAsInt() > 0) {
      request = request.withMaxTokens(most.getAsInt());
    }
    if (body.flag("logprobs", false)) {
      request = request.withLogProbabilities(body.integer("top_logprobs", 0, 20).orElse(0));
    }
    return request;
  }

  /** The conversation of a body. */
  public static Conversation conversation(Fields body) {
    return new Conversation(
        MessagesReader.messages(body), MessagesReader.tools(body), variables(body));
  }

  /** What the template is told beside the messages. */
  private static Map<String, Object> variables(Fields body) {
    Map<String, Object> variables = new LinkedHashMap<>();
    Optional<String> effort = body.text("reasoning_effort");
    effort.ifPresent(e -> {
      variables.put("reasoning_effort", e);
      variables.put("enable_thinking", !e.equals(NO_EFFORT));
    });
    variables.putAll(body.values("chat_template_kwargs"));
    return variables;
  }
}
