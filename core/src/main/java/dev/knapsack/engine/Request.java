package dev.knapsack.engine;

import dev.knapsack.constraint.Language;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.plan.Plan;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The tokens that an answer goes on from, and how it is wanted: a value that {@code with…} derives
 * others from. Each refuses with an {@link IllegalArgumentException} what no model can do.
 */
public final class Request {
  private int[] prompt;
  private int maxTokens = Integer.MAX_VALUE;
  private Sampling sampling = Sampling.DEFAULT;
  private List<String> stops = List.of();
  private boolean ignoreEnd;
  private Overflow overflow = new Overflow.Stop();
  private OptionalInt logProbabilities = OptionalInt.empty();
  private Optional<Duration> deadline = Optional.empty();
  private Set<Integer> shown = Set.of();
  private Optional<Plan.Cache> cache = Optional.empty();
  private Optional<Language> constraint = Optional.empty();
  private String tenant = "";
  private int priority;
  private OptionalLong share = OptionalLong.empty();

  private Request(int[] prompt) {
    this.prompt = prompt;
  }

  /**
   * This prompt, with {@link Sampling#DEFAULT}, until the model ends or the context is full.
   *
   * @param prompt token ids, at least one
   */
  public static Request of(int... prompt) {
    return new Request(atLeastOne(prompt));
  }

  private static int[] atLeastOne(int[] prompt) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("The prompt is empty; give at least one token.");
    }
    return prompt.clone();
  }

  private Request with(Consumer<Request> change) {
    Request copy = new Request(prompt);
    copy.maxTokens = maxTokens;
    copy.sampling = sampling;
    copy.stops = stops;
    copy.ignoreEnd = ignoreEnd;
    copy.overflow = overflow;
    copy.logProbabilities = logProbabilities;
    copy.deadline = deadline;
    copy.shown = shown;
    copy.cache = cache;
    copy.constraint = constraint;
    copy.tenant = tenant;
    copy.priority = priority;
    copy.share = share;
    change.accept(copy);
    return copy;
  }

  /** The tokens that the answer goes on from. */
  public int[] prompt() {
    return prompt.clone();
  }

  /** Tokens of the answer at the most. */
  public int maxTokens() {
    return maxTokens;
  }

  public Sampling sampling() {
    return sampling;
  }

  /** Texts that end the answer and are no part of it. */
  public List<String> stops() {
    return stops;
  }

  /** Says whether the answer goes on when the model writes a token that ends one. */
  public boolean ignoreEnd() {
    return ignoreEnd;
  }

  /** The way on when the context is full. */
  public Overflow overflow() {
    return overflow;
  }

  /** The alternatives whose log-probabilities come with each token's own; empty for neither. */
  public OptionalInt logProbabilities() {
    return logProbabilities;
  }

  /** The time it may take, from asking, with waiting for others; empty for any. */
  public Optional<Duration> deadline() {
    return deadline;
  }

  /** Control tokens whose text is part of the answer's; others are left out. */
  public Set<Integer> shown() {
    return shown;
  }

  /** The tokens that its sequence keeps, and their formats; empty for what the plan says. */
  public Optional<Plan.Cache> cache() {
    return cache;
  }

  /** The texts that the answer may be; empty for all. */
  public Optional<Language> constraint() {
    return constraint;
  }

  /** The name of who asks; empty where that is not said. */
  public String tenant() {
    return tenant;
  }

  /** The place among requests that wait for a sequence: higher ones go first. */
  public int priority() {
    return priority;
  }

  /** Bytes of cache that all of the tenant's requests may hold at once; empty for any. */
  public OptionalLong share() {
    return share;
  }

  int lastToken() {
    return prompt[prompt.length - 1];
  }

  /**
   * @param context tokens that a sequence may have
   * @param text whether there is a tokenizer
   * @throws ContextExceededException if the prompt leaves no room for an answer
   * @throws IllegalArgumentException if the engine cannot do what is asked for
   */
  void check(int vocabulary, int context, boolean text) {
    for (int token : prompt) {
      if (token < 0 || token >= vocabulary) {
        throw new IllegalArgumentException(
            "Token %d of the prompt is none of the vocabulary's %,d".formatted(token, vocabulary));
      }
    }
    if (prompt.length >= context) {
      throw new ContextExceededException(prompt.length, context);
    }
    if (overflow instanceof Overflow.Shift(int keep) && keep > context - 2) {
      throw new IllegalArgumentException(
          "Cannot keep %,d tokens when the context of %,d is full; keep at most %,d."
              .formatted(keep, context, context - 2));
    }
    if (!text && !stops.isEmpty()) {
      throw new IllegalArgumentException("Stop strings need a tokenizer, and the engine has none.");
    }
    if (constraint.isPresent() && ignoreEnd) {
      throw new IllegalArgumentException(
          "An answer that is held to a constraint ends where that ends; do not ask for one that"
              + " goes on.");
    }
  }

  /**
   * @param denoises whether the model denoises texts, in place of going on from them
   * @param logitRows rows of logits of a step
   * @throws ConstraintException if it cannot hold to a constraint
   * @throws IllegalArgumentException if the model cannot do what is asked for
   */
  void check(boolean denoises, int logitRows) {
    Denoising wanted = sampling.denoising();
    if (!denoises && !wanted.equals(Denoising.DEFAULT)) {
      throw new IllegalArgumentException(
          "This model writes token by token; blocks, steps and drafts are for models that denoise"
              + " texts. Leave them out.");
    }
    if (denoises && constraint.isPresent()) {
      throw new ConstraintException(
          "",
          "This model denoises a text, all of its tokens at once, and not from its beginning on; it"
              + " cannot be held to a constraint. Ask without one, or another model.");
    }
    if (denoises && overflow instanceof Overflow.Shift) {
      throw new IllegalArgumentException(
          "A model that denoises texts cannot go on when the context is full; plan a longer"
              + " context.");
    }
    if (denoises && Math.min(wanted.blockLength(), maxTokens) > logitRows) {
      throw new IllegalArgumentException(
          "Blocks of %,d tokens are more than the %,d that this plan has logits of at once; make them shorter."
              .formatted(wanted.blockLength(), logitRows));
    }
  }

  /** The answer to other tokens. */
  public Request withPrompt(int... tokens) {
    return with(r -> r.prompt = atLeastOne(tokens));
  }

  /** At most so many tokens, 1 or more. */
  public Request withMaxTokens(int value) {
    if (value < 1) {
      throw new IllegalArgumentException(
          "The answer may have " + value + " tokens; give 1 or more.");
    }
    return with(r -> r.maxTokens = value);
  }

  public Request withSampling(Sampling value) {
    return with(r -> r.sampling = value);
  }

  /** Ended before any of these texts. */
  public Request withStops(String... value) {
    List<String> texts = List.of(value);
    if (texts.contains("")) {
      throw new IllegalArgumentException("A stop string is empty; give at least one character.");
    }
    return with(r -> r.stops = texts);
  }

  public Request withIgnoreEnd(boolean value) {
    return with(r -> r.ignoreEnd = value);
  }

  public Request withOverflow(Overflow value) {
    return with(r -> r.overflow = value);
  }

  /**
   * With the log-probability of each token in the model's own distribution, as {@link
   * Event.Token#logProbability} has it, and that of the likeliest tokens in its place: a pass over
   * the vocabulary for each token.
   *
   * @param alternatives how many of these, 0 or more
   */
  public Request withLogProbabilities(int alternatives) {
    if (alternatives < 0) {
      throw new IllegalArgumentException(
          "Log-probabilities of %d alternatives; give 0 or more.".formatted(alternatives));
    }
    return with(r -> r.logProbabilities = OptionalInt.of(alternatives));
  }

  /**
   * To be answered within a time that begins when it is asked for: what has not ended then ends
   * with {@link FinishReason#DEADLINE}, in the queue, in the prompt or after some of the answer,
   * once the step under way is done.
   */
  public Request withDeadline(Duration time) {
    if (time.isNegative()) {
      throw new IllegalArgumentException(
          "A deadline of %s; give a time that is to come.".formatted(time));
    }
    return with(r -> r.deadline = Optional.of(time));
  }

  /** With the texts of these control tokens in the answer's text. */
  public Request withShown(Set<Integer> tokens) {
    Set<Integer> copy = Set.copyOf(tokens);
    return with(r -> r.shown = copy);
  }

  /**
   * With a cache of its own: its recipe and formats in place of the plan's. What it takes is
   * counted when the request gets its sequence, and must fit beside others in what the plan has for
   * all.
   */
  public Request withCache(Plan.Cache value) {
    return with(r -> r.cache = Optional.of(value));
  }

  /** With an answer that is a text of a language, if it ends by itself. */
  public Request withConstraint(Language value) {
    return with(r -> r.constraint = Optional.of(value));
  }

  /** Asked for by a tenant of this name; all that name none are one's. See {@link Answer}. */
  public Request withTenant(String name) {
    return with(r -> r.tenant = name);
  }

  /** As one of a tenant's requests that hold at most so many bytes of cache. See {@link Answer}. */
  public Request withShare(long bytes) {
    if (bytes < 1) {
      throw new IllegalArgumentException(
          "A share of %,d bytes of cache; give 1 or more.".formatted(bytes));
    }
    return with(r -> r.share = OptionalLong.of(bytes));
  }

  /** With this priority in place of 0. See {@link Answer}. */
  public Request withPriority(int value) {
    return with(r -> r.priority = value);
  }
}
