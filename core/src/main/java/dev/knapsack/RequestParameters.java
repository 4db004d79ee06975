package dev.knapsack;

import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.plan.Plan;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Parameters of a request for an answer, for programs in which several have a say: who asks, and
 * who set up what is asked. What is null is as usual.
 *
 * @param seed that tokens are drawn with, so that the answer can be had again
 * @param minP the fraction of the likeliest token's probability that a token must have
 * @param repetitionPenalty the factor by which tokens that have come up are made less likely
 * @param penaltyWindow the last tokens, of prompt and answer, that all penalties look at; -1, as
 *     usual, for all
 * @param logitBias summands to the logits of tokens; negative infinity forbids one
 * @param constraint the form that all of the answer's text has
 * @param strictTools whether calls of tools that do not say it themselves are held to their schemas
 * @param parallelToolCalls whether an answer may have several calls
 * @param templateVariables of the model's chat template, such as {@code enable_thinking}
 * @param cache the KV recipe: which tokens the sequence keeps, and in which formats
 * @param overflow the way on when the sequence is full
 * @param timeout the time that the answer may take
 * @param tenant who asks
 * @param priority among requests that wait; higher ones go first
 */
public record RequestParameters(
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
  /**
   * The parameters that other engines have, too, under these names; what is null is as usual.
   *
   * @param stops texts before any of which the answer is ended
   */
  public record Common(
      @Nullable Double temperature,
      @Nullable Integer topK,
      @Nullable Double topP,
      @Nullable Double presencePenalty,
      @Nullable Double frequencyPenalty,
      @Nullable Integer maxTokens,
      @Nullable List<String> stops) {}

  public RequestParameters {
    logitBias = logitBias == null ? null : Map.copyOf(logitBias);
    templateVariables = Map.copyOf(templateVariables);
  }

  public static Builder builder() {
    return new Builder();
  }

  /**
   * A request as these parameters and those want it. Template variables are the conversation's, and
   * {@link #strictTools} its tools': they do not count here.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public GenerationRequest of(GenerationRequest plain, Common common) {
    GenerationRequest request = plain.withSampling(sampling(common));
    if (common.stops != null) {
      request = request.withStops(common.stops.toArray(String[]::new));
    }
    if (common.maxTokens != null) {
      request = request.withMaxTokens(common.maxTokens);
    }
    if (constraint != null) {
      request = request.withConstraint(constraint);
    }
    if (parallelToolCalls != null) {
      request = request.withParallelCalls(parallelToolCalls);
    }
    if (cache != null) {
      request = request.withCache(cache);
    }
    if (overflow != null) {
      request = request.withOverflow(overflow);
    }
    if (timeout != null) {
      request = request.withDeadline(timeout);
    }
    if (tenant != null) {
      request = request.withTenant(tenant);
    }
    return priority == null ? request : request.withPriority(priority);
  }

  private Sampling sampling(Common common) {
    Sampling sampling = Sampling.DEFAULT;
    if (common.temperature != null) {
      sampling = sampling.withTemperature(common.temperature.floatValue());
    }
    if (common.topK != null) {
      sampling = sampling.withTopK(common.topK);
    }
    if (common.topP != null) {
      // 0 is the smallest nucleus there is: the likeliest token.
      sampling = sampling.withTopP(common.topP == 0 ? Float.MIN_NORMAL : common.topP.floatValue());
    }
    if (minP != null) {
      sampling = sampling.withMinP(minP.floatValue());
    }
    double repetition = or(repetitionPenalty, 1.0);
    double presence = or(common.presencePenalty, 0.0);
    double frequency = or(common.frequencyPenalty, 0.0);
    if (repetition != 1 || presence != 0 || frequency != 0) {
      sampling =
          sampling.withPenalties(
              (float) repetition, (float) presence, (float) frequency, or(penaltyWindow, -1));
    }
    if (seed != null) {
      sampling = sampling.withSeed(seed);
    }
    return sampling.withLogitBias(or(logitBias, Map.of()));
  }

  private static <T> T or(@Nullable T value, T otherwise) {
    return value == null ? otherwise : value;
  }

  /** Collects {@link RequestParameters}. */
  public static final class Builder {
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

    /** These, where they say something, in place of what was said before. */
    public Builder overrideWith(RequestParameters later) {
      seed = either(later.seed, seed);
      minP = either(later.minP, minP);
      repetitionPenalty = either(later.repetitionPenalty, repetitionPenalty);
      penaltyWindow = either(later.penaltyWindow, penaltyWindow);
      logitBias = either(later.logitBias, logitBias);
      constraint = either(later.constraint, constraint);
      strictTools = either(later.strictTools, strictTools);
      parallelToolCalls = either(later.parallelToolCalls, parallelToolCalls);
      templateVariables.putAll(later.templateVariables);
      cache = either(later.cache, cache);
      overflow = either(later.overflow, overflow);
      timeout = either(later.timeout, timeout);
      tenant = either(later.tenant, tenant);
      priority = either(later.priority, priority);
      return this;
    }

    private static <T> @Nullable T either(@Nullable T value, @Nullable T otherwise) {
      return value == null ? otherwise : value;
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

    public RequestParameters build() {
      return new RequestParameters(
          seed,
          minP,
          repetitionPenalty,
          penaltyWindow,
          logitBias,
          constraint,
          strictTools,
          parallelToolCalls,
          templateVariables,
          cache,
          overflow,
          timeout,
          tenant,
          priority);
    }
  }
}
