package dev.knapsack.engine;

import dev.knapsack.error.ContextExceededException;
import dev.knapsack.plan.Plan;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * What an answer is wanted to: the tokens of a prompt, and when to stop.
 *
 * @param prompt token ids, at least one
 * @param maxTokens tokens of the answer at the most
 * @param sampling how tokens are chosen
 * @param stops texts that end the answer and are no part of it
 * @param ignoreEnd go on when the model writes a token that ends an answer
 * @param overflow what to do when the context is full
 * @param logProbabilities with each token its log-probability and that of so many alternatives, 0
 *     or more; empty for none
 * @param deadline the time it may take, from asking, with waiting for others; empty for any
 * @param shown control tokens whose text is part of the answer's; others are left out
 * @param cache which tokens its sequence keeps, and in which formats; empty for what the plan says
 */
public record Request(
    int[] prompt,
    int maxTokens,
    Sampling sampling,
    List<String> stops,
    boolean ignoreEnd,
    Overflow overflow,
    OptionalInt logProbabilities,
    Optional<Duration> deadline,
    Set<Integer> shown,
    Optional<Plan.Cache> cache) {
  /** What happens when a sequence has as many tokens as the plan gives it. */
  public sealed interface Overflow {
    /** The answer ends with {@link FinishReason#CONTEXT_FULL}. */
    record Stop() implements Overflow {}

    /**
     * The sequence forgets its middle: the first {@code keep} tokens and the last half of the
     * others are computed anew, as if they were the prompt.
     */
    record Shift(int keep) implements Overflow {
      public Shift {
        if (keep < 0) {
          throw new IllegalArgumentException("Cannot keep " + keep + " tokens; give 0 or more.");
        }
      }
    }
  }

  public Request {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("The prompt is empty; give at least one token.");
    }
    if (maxTokens < 1) {
      throw new IllegalArgumentException(
          "The answer may have " + maxTokens + " tokens; give 1 or more.");
    }
    prompt = prompt.clone();
    if (logProbabilities.orElse(0) < 0) {
      throw new IllegalArgumentException(
          "Log-probabilities of %d alternatives; give 0 or more."
              .formatted(logProbabilities.getAsInt()));
    }
    if (deadline.isPresent() && deadline.get().isNegative()) {
      throw new IllegalArgumentException(
          "A deadline of %s; give a time that is to come.".formatted(deadline.get()));
    }
    stops = List.copyOf(stops);
    shown = Set.copyOf(shown);
    if (stops.contains("")) {
      throw new IllegalArgumentException("A stop string is empty; give at least one character.");
    }
  }

  /** This prompt, with {@link Sampling#DEFAULT}, until the model ends or the context is full. */
  public static Request of(int... prompt) {
    return new Request(
        prompt,
        Integer.MAX_VALUE,
        Sampling.DEFAULT,
        List.of(),
        false,
        new Overflow.Stop(),
        OptionalInt.empty(),
        Optional.empty(),
        Set.of(),
        Optional.empty());
  }

  @Override
  public int[] prompt() {
    return prompt.clone();
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
  }

  /** The same, as the answer to other tokens. */
  public Request withPrompt(int... tokens) {
    return new Request(
        tokens,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  public Request withMaxTokens(int value) {
    return new Request(
        prompt,
        value,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  public Request withSampling(Sampling value) {
    return new Request(
        prompt,
        maxTokens,
        value,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  public Request withStops(String... value) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        List.of(value),
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  public Request withIgnoreEnd(boolean value) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        value,
        overflow,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  public Request withOverflow(Overflow value) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        value,
        logProbabilities,
        deadline,
        shown,
        cache);
  }

  /**
   * With the log-probability of each token in the model's own distribution, as {@link
   * Event.Token#logProbability} has it, and that of the likeliest tokens in its place: a pass over
   * the vocabulary for each token.
   *
   * @param alternatives how many of these, 0 or more
   */
  public Request withLogProbabilities(int alternatives) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        OptionalInt.of(alternatives),
        deadline,
        shown,
        cache);
  }

  /**
   * To be answered within a time that begins when it is asked for: what has not ended then ends
   * with {@link FinishReason#DEADLINE}, in the queue, in the prompt or after some of the answer,
   * once the step under way is done.
   */
  public Request withDeadline(Duration time) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        Optional.of(time),
        shown,
        cache);
  }

  /** With the texts of these control tokens in the answer's text. */
  public Request withShown(Set<Integer> tokens) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        tokens,
        cache);
  }

  /**
   * With a cache of its own: its recipe and formats in place of the plan's. What it takes is
   * counted when the request gets its sequence, and must fit beside others in what the plan has for
   * all.
   */
  public Request withCache(Plan.Cache value) {
    return new Request(
        prompt,
        maxTokens,
        sampling,
        stops,
        ignoreEnd,
        overflow,
        logProbabilities,
        deadline,
        shown,
        Optional.of(value));
  }
}
