package dev.knapsack.springai;

import dev.knapsack.GenerationRequest;
import dev.knapsack.RequestParameters;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.plan.Plan;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.definition.ToolDefinition;

/**
 * The options of a prompt that Knapsack knows, beside those that all models of Spring AI have; what
 * is null is as usual.
 */
public final class KnapsackChatOptions extends DefaultToolCallingChatOptions
    implements StructuredOutputChatOptions {
  private final RequestParameters own;
  private final @Nullable ToolChoice toolChoice;
  private final @Nullable String outputSchema;

  private KnapsackChatOptions(ToolCallingChatOptions common, Builder builder) {
    super(
        common.getToolCallbacks(),
        common.getToolContext(),
        common.getModel(),
        common.getFrequencyPenalty(),
        common.getMaxTokens(),
        common.getPresencePenalty(),
        common.getStopSequences(),
        common.getTemperature(),
        common.getTopK(),
        common.getTopP());
    this.own = builder.own.build();
    this.toolChoice = builder.toolChoice;
    this.outputSchema = builder.outputSchema;
  }

  public static Builder builder() {
    return new Builder();
  }

  /** The same options, if they are these, or else as many of these as they are. */
  static KnapsackChatOptions of(ChatOptions options) {
    if (options instanceof KnapsackChatOptions same) {
      return same;
    }
    Builder builder =
        builder()
            .model(options.getModel())
            .frequencyPenalty(options.getFrequencyPenalty())
            .maxTokens(options.getMaxTokens())
            .presencePenalty(options.getPresencePenalty())
            .stopSequences(options.getStopSequences())
            .temperature(options.getTemperature())
            .topK(options.getTopK())
            .topP(options.getTopP());
    if (options instanceof ToolCallingChatOptions tools) {
      builder.toolCallbacks(tools.getToolCallbacks()).toolContext(tools.getToolContext());
    }
    if (options instanceof StructuredOutputChatOptions structured) {
      builder.outputSchema(structured.getOutputSchema());
    }
    return builder.build();
  }

  /**
   * These options, with the name of a model.
   *
   * @throws IllegalArgumentException if they name another one
   */
  KnapsackChatOptions forModel(String name) {
    @Nullable String asked = getModel();
    if (asked != null && !asked.equals(name)) {
      throw new IllegalArgumentException(
          "The options name the model '%s', and the one that is open here is '%s'. Open the other one and ask that, or name none."
              .formatted(asked, name));
    }
    return asked == null ? mutate().model(name).build() : this;
  }

  /**
   * The request for an answer to messages with these options.
   *
   * @throws IllegalArgumentException if they contradict each other, or a value is out of its range
   */
  GenerationRequest request(List<Message> messages, List<ToolDefinition> tools) {
    Conversation conversation =
        new Conversation(
            messages, tools.stream().map(this::tool).toList(), own.templateVariables());
    GenerationRequest request =
        own.of(
            GenerationRequest.of(conversation),
            new RequestParameters.Common(
                getTemperature(),
                getTopK(),
                getTopP(),
                getPresencePenalty(),
                getFrequencyPenalty(),
                getMaxTokens(),
                getStopSequences()));
    if (toolChoice != null) {
      request = request.withToolChoice(toolChoice);
    }
    if (outputSchema == null) {
      return request;
    }
    if (own.constraint() != null) {
      throw new IllegalArgumentException(
          "An output schema and a constraint are both given: an answer has one form. Leave one out.");
    }
    return request.withConstraint(new Constraint.JsonSchema(outputSchema));
  }

  private Tool tool(ToolDefinition definition) {
    return new Tool(
        definition.name(),
        definition.description(),
        definition.inputSchema(),
        Boolean.TRUE.equals(own.strictTools()));
  }

  /** The seed that tokens are drawn with, so that the answer can be had again. */
  public @Nullable Long getSeed() {
    return own.seed();
  }

  /** The fraction of the likeliest token's probability that a token must have. */
  public @Nullable Double getMinP() {
    return own.minP();
  }

  /** The factor by which tokens that have come up are made less likely. */
  public @Nullable Double getRepetitionPenalty() {
    return own.repetitionPenalty();
  }

  /** The last tokens, of prompt and answer, that all penalties look at; -1 for all. */
  public @Nullable Integer getPenaltyWindow() {
    return own.penaltyWindow();
  }

  /** Summands to the logits of tokens; negative infinity forbids one. */
  public @Nullable Map<Integer, Float> getLogitBias() {
    return own.logitBias();
  }

  /** The form that all of the answer's text has: a grammar, a regular expression, a choice. */
  public @Nullable Constraint getConstraint() {
    return own.constraint();
  }

  /** The JSON Schema that all of the answer's text is held to, for records and classes. */
  @Override
  public @Nullable String getOutputSchema() {
    return outputSchema;
  }

  /** The say that the model has in whether it calls a tool, and which. */
  public @Nullable ToolChoice getToolChoice() {
    return toolChoice;
  }

  /** Says whether calls of tools are held to their schemas. */
  public @Nullable Boolean getStrictTools() {
    return own.strictTools();
  }

  /** Says whether an answer may have several calls. */
  public @Nullable Boolean getParallelToolCalls() {
    return own.parallelToolCalls();
  }

  /** Variables of the model's chat template, such as {@code enable_thinking}. */
  public Map<String, Object> getTemplateVariables() {
    return own.templateVariables();
  }

  /** The KV recipe: which tokens the sequence keeps, and in which formats. */
  public Plan.@Nullable Cache getCache() {
    return own.cache();
  }

  /** The way on when the sequence is full. */
  public @Nullable Overflow getOverflow() {
    return own.overflow();
  }

  /** The time that the answer may take; then it ends with the reason {@code DEADLINE}. */
  public @Nullable Duration getTimeout() {
    return own.timeout();
  }

  /** The one who asks: tenants take turns, and share no prefixes unless the model's options do. */
  public @Nullable String getTenant() {
    return own.tenant();
  }

  /** The priority among requests that wait, 0 if none is given; higher ones go first. */
  public @Nullable Integer getPriority() {
    return own.priority();
  }

  @Override
  public Builder mutate() {
    Builder builder =
        builder()
            .model(getModel())
            .frequencyPenalty(getFrequencyPenalty())
            .maxTokens(getMaxTokens())
            .presencePenalty(getPresencePenalty())
            .stopSequences(getStopSequences())
            .temperature(getTemperature())
            .topK(getTopK())
            .topP(getTopP())
            .toolCallbacks(getToolCallbacks())
            .toolContext(getToolContext())
            .toolChoice(toolChoice)
            .outputSchema(outputSchema);
    builder.own.overrideWith(own);
    return builder;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return super.equals(other)
        && other instanceof KnapsackChatOptions that
        && own.equals(that.own)
        && Objects.equals(toolChoice, that.toolChoice)
        && Objects.equals(outputSchema, that.outputSchema);
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), own, toolChoice, outputSchema);
  }

  /** Collects {@link KnapsackChatOptions}. */
  public static final class Builder extends DefaultToolCallingChatOptions.Builder<Builder>
      implements StructuredOutputChatOptions.Builder<Builder> {
    private RequestParameters.Builder own = RequestParameters.builder();
    private @Nullable ToolChoice toolChoice;
    private @Nullable String outputSchema;

    private Builder() {}

    @Override
    public Builder clone() {
      Builder copy = super.clone();
      copy.own = RequestParameters.builder().overrideWith(own.build());
      return copy;
    }

    @Override
    public Builder combineWith(ChatOptions.Builder<?> other) {
      super.combineWith(other);
      if (other instanceof Builder that) {
        own.overrideWith(that.own.build());
        toolChoice = that.toolChoice == null ? toolChoice : that.toolChoice;
        outputSchema = that.outputSchema == null ? outputSchema : that.outputSchema;
      }
      return this;
    }

    public Builder seed(@Nullable Long value) {
      own.seed(value);
      return this;
    }

    public Builder minP(@Nullable Double value) {
      own.minP(value);
      return this;
    }

    public Builder repetitionPenalty(@Nullable Double value) {
      own.repetitionPenalty(value);
      return this;
    }

    public Builder penaltyWindow(@Nullable Integer value) {
      own.penaltyWindow(value);
      return this;
    }

    public Builder logitBias(@Nullable Map<Integer, Float> value) {
      own.logitBias(value);
      return this;
    }

    public Builder constraint(@Nullable Constraint value) {
      own.constraint(value);
      return this;
    }

    @Override
    public Builder outputSchema(@Nullable String value) {
      outputSchema = value;
      return this;
    }

    public Builder toolChoice(@Nullable ToolChoice value) {
      toolChoice = value;
      return this;
    }

    public Builder strictTools(@Nullable Boolean value) {
      own.strictTools(value);
      return this;
    }

    public Builder parallelToolCalls(@Nullable Boolean value) {
      own.parallelToolCalls(value);
      return this;
    }

    public Builder templateVariable(String name, Object value) {
      own.templateVariable(name, value);
      return this;
    }

    /** Says whether the model is to think before it speaks, where its template can say so. */
    public Builder thinking(boolean value) {
      own.thinking(value);
      return this;
    }

    /** The effort of thinking, such as {@code low}, where the model's template can say it. */
    public Builder reasoningEffort(String value) {
      own.reasoningEffort(value);
      return this;
    }

    public Builder cache(Plan.@Nullable Cache value) {
      own.cache(value);
      return this;
    }

    public Builder overflow(@Nullable Overflow value) {
      own.overflow(value);
      return this;
    }

    public Builder timeout(@Nullable Duration value) {
      own.timeout(value);
      return this;
    }

    public Builder tenant(@Nullable String value) {
      own.tenant(value);
      return this;
    }

    public Builder priority(@Nullable Integer value) {
      own.priority(value);
      return this;
    }

    @Override
    public KnapsackChatOptions build() {
      return new KnapsackChatOptions(super.build(), this);
    }
  }
}
