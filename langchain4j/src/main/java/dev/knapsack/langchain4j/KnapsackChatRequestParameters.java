package dev.knapsack.langchain4j;

import dev.knapsack.RequestParameters;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.plan.Plan;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import java.time.Duration;
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

  private final RequestParameters own;

  private KnapsackChatRequestParameters(Builder builder) {
    super(builder);
    this.own = builder.own.build();
  }

  public static Builder builder() {
    return new Builder();
  }

  /** Those of these that LangChain4j has no names for. */
  RequestParameters own() {
    return own;
  }

  /** The same parameters, if they are these, or else as many of these as they are. */
  static KnapsackChatRequestParameters of(ChatRequestParameters parameters) {
    return parameters instanceof KnapsackChatRequestParameters same
        ? same
        : builder().overrideWith(parameters).build();
  }

  /** The seed that tokens are drawn with, so that the answer can be had again. */
  public @Nullable Long seed() {
    return own.seed();
  }

  /** The fraction of the likeliest token's probability that a token must have. */
  public @Nullable Double minP() {
    return own.minP();
  }

  /** The factor by which tokens that have come up are made less likely. */
  public @Nullable Double repetitionPenalty() {
    return own.repetitionPenalty();
  }

  /** The last tokens, of prompt and answer, that all penalties look at; -1 for all. */
  public @Nullable Integer penaltyWindow() {
    return own.penaltyWindow();
  }

  /** Summands to the logits of tokens; negative infinity forbids one. */
  public @Nullable Map<Integer, Float> logitBias() {
    return own.logitBias();
  }

  /** The form that all of the answer's text has: a grammar, a regular expression, a choice. */
  public @Nullable Constraint constraint() {
    return own.constraint();
  }

  /** Says whether calls of tools that do not say it themselves are held to their schemas. */
  public @Nullable Boolean strictTools() {
    return own.strictTools();
  }

  /** Says whether an answer may have several calls. */
  public @Nullable Boolean parallelToolCalls() {
    return own.parallelToolCalls();
  }

  /** Variables of the model's chat template, such as {@code enable_thinking}. */
  public Map<String, Object> templateVariables() {
    return own.templateVariables();
  }

  /** The KV recipe: which tokens the sequence keeps, and in which formats. */
  public Plan.@Nullable Cache cache() {
    return own.cache();
  }

  /** The way on when the sequence is full. */
  public @Nullable Overflow overflow() {
    return own.overflow();
  }

  /** The time that the answer may take. */
  public @Nullable Duration timeout() {
    return own.timeout();
  }

  /** The one who asks: tenants take turns, and share no prefixes unless the model's options do. */
  public @Nullable String tenant() {
    return own.tenant();
  }

  /** The priority among requests that wait, 0 if none is given; higher ones go first. */
  public @Nullable Integer priority() {
    return own.priority();
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
    private final RequestParameters.Builder own = RequestParameters.builder();

    private Builder() {}

    @Override
    public Builder overrideWith(ChatRequestParameters parameters) {
      super.overrideWith(parameters);
      if (parameters instanceof KnapsackChatRequestParameters these) {
        own.overrideWith(these.own);
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
    public KnapsackChatRequestParameters build() {
      return new KnapsackChatRequestParameters(this);
    }
  }
}
