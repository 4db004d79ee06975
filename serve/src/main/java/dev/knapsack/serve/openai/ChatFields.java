package dev.knapsack.serve.openai;

import dev.knapsack.GenerationRequest;
import dev.knapsack.message.Conversation;
import dev.knapsack.serve.ConstraintFields;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.Thinking;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Fields;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** Reads a request for a chat completion. */
public final class ChatFields {
  private ChatFields() {}

  static GenerationRequest read(Fields body) {
    GenerationRequest request =
        ConstraintFields.hold(body, GenerationRequest.of(conversation(body)))
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
        MessagesReader.messages(body),
        ToolFields.functions(body),
        variables(body.text("reasoning_effort"), body));
  }

  /** The variables that the template is told beside the messages. */
  static Map<String, Object> variables(Optional<String> effort, Fields body) {
    Map<String, Object> variables = new LinkedHashMap<>();
    effort.map(Thinking::effort).ifPresent(variables::putAll);
    variables.putAll(body.values("chat_template_kwargs"));
    return variables;
  }
}
