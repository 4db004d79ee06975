package dev.knapsack.engine;

import java.util.List;

/**
 * What an answer is wanted to: the tokens of a prompt, and when to stop.
 *
 * @param prompt token ids, at least one
 * @param maxTokens tokens of the answer at the most
 * @param sampling how tokens are chosen
 * @param stops texts that end the answer and are no part of it
 * @param ignoreEnd go on when the model writes a token that ends an answer
 * @param overflow what to do when the context is full
 */
public record Request(
    int[] prompt,
    int maxTokens,
    Sampling sampling,
    List<String> stops,
    boolean ignoreEnd,
    Overflow overflow) {
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
    stops = List.copyOf(stops);
    if (stops.contains("")) {
      throw new IllegalArgumentException("A stop string is empty; give at least one character.");
    }
  }

  /** This prompt, with {@link Sampling#DEFAULT}, until the model ends or the context is full. */
  public static Request of(int... prompt) {
    return new Request(
        prompt, Integer.MAX_VALUE, Sampling.DEFAULT, List.of(), false, new Overflow.Stop());
  }

  @Override
  public int[] prompt() {
    return prompt.clone();
  }

  public Request withMaxTokens(int value) {
    return new Request(prompt, value, sampling, stops, ignoreEnd, overflow);
  }

  public Request withSampling(Sampling value) {
    return new Request(prompt, maxTokens, value, stops, ignoreEnd, overflow);
  }

  public Request withStops(String... value) {
    return new Request(prompt, maxTokens, sampling, List.of(value), ignoreEnd, overflow);
  }

  public Request withIgnoreEnd(boolean value) {
    return new Request(prompt, maxTokens, sampling, stops, value, overflow);
  }

  public Request withOverflow(Overflow value) {
    return new Request(prompt, maxTokens, sampling, stops, ignoreEnd, value);
  }
}
