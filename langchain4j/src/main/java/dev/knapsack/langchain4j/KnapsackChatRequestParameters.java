package dev.knapsack.langchain4j;

import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.plan.Plan;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of a request that Knapsack knows, beside those that all models of LangChain4j
 * have; what is null is as usual.
 */
public final class KnapsackChatRequestParameters extends DefaultChatRequestParameters {
  /** None: everything is as usual. */
  public static final KnapsackChatRequestParameters EMPTY = builder().build();

  private record Own(
      @Nullable Long seed,
      @Nullable Double minP,
      @Nullable Double repetitionPenalty,
      @Nullable Integer penaltyWindow,
      @Nullable Map<Integer, Float> logitBias,
      @Nullable Constraint constraint,
      @Nullable Boolean strictTools,
      @Nullable Boolean parallelToolCalls,
      Map<String, Object> templateVariables,
      Plan.@Nullable Cache cache,
      @Nullable Overflow overflow,
      @Nullable Duration timeout,
      @Nullable String tenant,
      @Nullable Integer priority) {
    static final Own NONE =
        new Own(
            null, null, null, null, null, null, null, null, Map.of(), null, null, null, null, null);

    /** These, and what they leave open as others have it. */
    Own over(Own others) {
      Map<String, Object> variables = new LinkedHashMap<>(others.templateVariables);
      variables.putAll(templateVariables);
      return new Own(
          or(seed, others.seed),
          or(minP, others.minP),
          or(repetitionPenalty, others.repetitionPenalty),
          or(penaltyWindow, others.penaltyWindow),
          or(logitBias, others.logitBias),
          or(constraint, others.constraint),
          or(strictTools, others.strictTools),
          or(parallelToolCalls, others.parallelToolCalls),
          variables,
          or(cache, others.cache),
          or(overflow, others.overflow),
          or(timeout, others.timeout),
          or(tenant, others.tenant),
          or(priority, others.priority));
    }

    private static <T> @Nullable T or(@Nullable T value, @Nullable T otherwise) {
      return value == null ? otherwise : value;
    }
  }

  private final Own own;

  private KnapsackChatRequestParameters(Builder builder) {
    super(builder);
    this.own = builder.own();
  }

  public static Builder builder() {
    return new Builder();
  }

  /** The same parameters, if they are these, or else as many of these as they are. */
  static KnapsackChatRequestParameters of(ChatRequestParameters parameters) {
    return parameters instanceof KnapsackChatRequestParameters same
        ? same
        : builder().overrideWith(parameters).build();
  }

  /** The seed that tokens are drawn with, so that the answer can be had again. */
  public @Nullable Long seed() {
    return own.seed;
  }

  /** The fraction of the likeliest token's probability that a token must have. */
  public @Nullable Double minP() {
    return own.minP;
  }

  /** The factor by which tokens that have come up are made less likely. */
  public @Nullable Double repetitionPenalty() {
    return own.repetitionPenalty;
  }

  /** The last tokens, of prompt and answer, that all penalties look at; -1 for all. */
  public @Nullable Integer penaltyWindow() {
    return own.penaltyWindow;
  }

  /** Summands to the logits of tokens; negative infinity forbids one. */
  public @Nullable Map<Integer, Float> logitBias() {
    return own.logitBias;
  }

  /** The form that all of the answer's text has: a grammar, a regular expression, a choice. */
  public @Nullable Constraint constraint() {
    return own.constraint;
  }

  /** Says whether calls of tools that do not say it themselves are held to their schemas. */
  public @Nullable Boolean strictTools() {
    return own.strictTools;
  }

  /** Says whether an answer may have several calls. */
  public @Nullable Boolean parallelToolCalls() {
    return own.parallelToolCalls;
  }

  /** Variables of the model's chat template, such as {@code enable_thinking}. */
  public Map<String, Object> templateVariables() {
    return own.templateVariables;
  }

  /** The KV recipe: which tokens the sequence keeps, and in which formats. */
  public Plan.@Nullable Cache cache() {
    return own.cache;
  }

  /** The way on when the sequence is full. */
  public @Nullable Overflow overflow() {
    return own.overflow;
  }

  /** The time that the answer may take. */
  public @Nullable Duration timeout() {
    return own.timeout;
  }

  /** The one who asks: tenants take turns, and share no prefixes unless the model's options do. */
  public @Nullable String tenant() {
    return own.tenant;
  }

  /** The priority among requests that wait, 0 if none is given; higher ones go first. */
  public @Nullable Integer priority() {
    return own.priority;
  }

  @Override
  public KnapsackChatRequestParameters overrideWith(ChatRequestParameters that) {
    return builder().overrideWith(this).overrideWith(that).build();
  }

  @Override
  public KnapsackChatRequestParameters defaultedBy(ChatRequestParameters that) {
    return builder().overrideWith(that).overrideWith(this).build();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return super.equals(other)
        && other instanceof KnapsackChatRequestParameters that
        && own.equals(that.own);
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), own);
  }

  @Override
  public String toString() {
    return super.toString() + own;
  }

  /** Collects {@link KnapsackChatRequestParameters}. */
  public static final class Builder extends DefaultChatRequestParameters.Builder<Builder> {
    private @Nullable Long seed;
    private @Nullable Double minP;
    private @Nullable Double repetitionPenalty;
    private @Nullable Integer penaltyWindow;
    private @Nullable Map<Integer, Float> logitBias;
    private @Nullable Constraint constraint;
    private @Nullable Boolean strictTools;
    private @Nullable Boolean parallelToolCalls;
    private final Map<String, Object> templateVariables = new LinkedHashMap<>();
    private Plan.@Nullable Cache cache;
    private @Nullable Overflow overflow;
    private @Nullable Duration timeout;
    private @Nullable String tenant;
    private @Nullable Integer priority;

    private Builder() {}

    private Own own() {
      return new Own(
          seed,
          minP,
          repetitionPenalty,
          penaltyWindow,
          logitBias == null ? null : Map.copyOf(logitBias),
          constraint,
          strictTools,
          parallelToolCalls,
          Map.copyOf(templateVariables),
          cache,
          overflow,
          timeout,
          tenant,
          priority);
    }

    @Override
    public Builder overrideWith(ChatRequestParameters parameters) {
      super.overrideWith(parameters);
      Own all =
          (parameters instanceof KnapsackChatRequestParameters these ? these.own : Own.NONE)
              .over(own());
      seed = all.seed;
      minP = all.minP;
      repetitionPenalty = all.repetitionPenalty;
      penaltyWindow = all.penaltyWindow;
      logitBias = all.logitBias;
      constraint = all.constraint;
      strictTools = all.strictTools;
      parallelToolCalls = all.parallelToolCalls;
      templateVariables.putAll(all.templateVariables);
      cache = all.cache;
      overflow = all.overflow;
      timeout = all.timeout;
      tenant = all.tenant;
      priority = all.priority;
      return this;
    }

    public Builder seed(@Nullable Long value) {
      seed = value;
      return this;
    }

    public Builder minP(@Nullable Double value) {
      minP = value;
      return this;
    }

    public Builder repetitionPenalty(@Nullable Double value) {
      repetitionPenalty = value;
      return this;
    }

    public Builder penaltyWindow(@Nullable Integer value) {
      penaltyWindow = value;
      return this;
    }

    public Builder logitBias(@Nullable Map<Integer, Float> value) {
      logitBias = value;
      return this;
    }

    public Builder constraint(@Nullable Constraint value) {
      constraint = value;
      return this;
    }

    public Builder strictTools(@Nullable Boolean value) {
      strictTools = value;
      return this;
    }

    public Builder parallelToolCalls(@Nullable Boolean value) {
      parallelToolCalls = value;
      return this;
    }

    public Builder templateVariable(String name, Object value) {
      templateVariables.put(name, value);
      return this;
    }

    /** Says whether the model is to think before it speaks, where its template can say so. */
    public Builder thinking(boolean value) {
      return templateVariable("enable_thinking", value);
    }

    /** The effort of thinking, such as {@code low}, where the model's template can say it. */
    public Builder reasoningEffort(String value) {
      return templateVariable("reasoning_effort", value);
    }

    public Builder cache(Plan.@Nullable Cache value) {
      cache = value;
      return this;
    }

    public Builder overflow(@Nullable Overflow value) {
      overflow = value;
      return this;
    }

    public Builder timeout(@Nullable Duration value) {
      timeout = value;
      return this;
    }

    public Builder tenant(@Nullable String value) {
      tenant = value;
      return this;
    }

    public Builder priority(@Nullable Integer value) {
      priority = value;
      return this;
    }

    @Override
    public KnapsackChatRequestParameters build() {
      return new KnapsackChatRequestParameters(this);
    }
  }
}
