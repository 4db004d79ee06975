package dev.knapsack.langchain4j;

import dev.knapsack.GenerationRequest;
import dev.knapsack.RequestParameters;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads LangChain4j's requests. */
final class Requests {
  private static final String NO_PARAMETERS = "{\"type\": \"object\", \"properties\": {}}";

  private Requests() {}

  /**
   * The same request for a model.
   *
   * @param model its name
   * @throws UnsupportedFeatureException if it asks for what no model here can do
   * @throws InvalidRequestException if it contradicts itself, or a value is out of its range
   */
  static GenerationRequest of(ChatRequest request, String model) {
    KnapsackChatRequestParameters parameters =
        checked(KnapsackChatRequestParameters.of(request.parameters()), model);
    try {
      Conversation conversation =
          new Conversation(
              Conversations.messages(request.messages()),
              parameters.toolSpecifications().stream().map(t -> tool(t, parameters)).toList(),
              parameters.templateVariables());
      return adjusted(GenerationRequest.of(conversation), parameters);
    } catch (IllegalArgumentException e) {
      throw new InvalidRequestException(e);
    }
  }

  /**
   * The parameters, if they are for this model.
   *
   * @throws UnsupportedFeatureException if they name another one
   */
  static KnapsackChatRequestParameters checked(
      KnapsackChatRequestParameters parameters, String model) {
    @Nullable String asked = parameters.modelName();
    if (asked != null && !asked.equals(model)) {
      throw new UnsupportedFeatureException(
          "The parameter modelName is '%s', and the model that is open here is '%s'; it does not support to be asked by other names. Open the other one and ask that."
              .formatted(asked, model));
    }
    return parameters;
  }

  private static GenerationRequest adjusted(
      GenerationRequest plain, KnapsackChatRequestParameters parameters) {
    GenerationRequest request =
        parameters
            .own()
            .of(
                plain,
                new RequestParameters.Common(
                    parameters.temperature(),
                    parameters.topK(),
                    parameters.topP(),
                    parameters.presencePenalty(),
                    parameters.frequencyPenalty(),
                    parameters.maxOutputTokens(),
                    parameters.stopSequences()))
            .withToolChoice(choice(parameters));
    return format(parameters).map(request::withConstraint).orElse(request);
  }

  private static <T> T or(@Nullable T value, T otherwise) {
    return value == null ? otherwise : value;
  }

  private static ToolChoice choice(KnapsackChatRequestParameters parameters) {
    return switch (or(
        parameters.toolChoice(), dev.langchain4j.model.chat.request.ToolChoice.AUTO)) {
      case AUTO -> ToolChoice.AUTO;
      case REQUIRED -> ToolChoice.REQUIRED;
      case NONE -> ToolChoice.NONE;
    };
  }

  private static Tool tool(
      ToolSpecification specification, KnapsackChatRequestParameters parameters) {
    return new Tool(
        specification.name(),
        or(specification.description(), ""),
        specification.parameters() == null
            ? NO_PARAMETERS
            : Schemas.text(specification.parameters()),
        or(specification.strict(), or(parameters.strictTools(), false)));
  }

  private static Optional<Constraint> format(KnapsackChatRequestParameters parameters) {
    @Nullable ResponseFormat format = parameters.responseFormat();
    if (format == null || format.type() == ResponseFormatType.TEXT) {
      return Optional.empty();
    }
    if (parameters.constraint() != null) {
      throw new InvalidRequestException(
          "A response format of JSON and a constraint are both given: an answer has one form. Leave"
              + " one out.");
    }
    return Optional.of(
        format.jsonSchema() == null
            ? new Constraint.Json()
            : new Constraint.JsonSchema(Schemas.text(format.jsonSchema().rootElement())));
  }
}
