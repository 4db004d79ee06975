package dev.knapsack.generation;

/**
 * The tokens and the time that an answer took, so far.
 *
 * @param promptTokens tokens of the prompt
 * @param cachedTokens of these, those that were not computed: the session still had them, or
 *     another sequence with the same beginning
 * @param tokens tokens of the answer
 * @param prefillSeconds from the first step of the prompt to the first token of the answer; 0 where
 *     the model denoises, whose steps compute the prompt each time
 * @param decodeSeconds of the steps that wrote the further tokens; of all steps where the model
 *     denoises
 * @param secondsToFirstToken from asking to the first token, with waiting for others
 * @param steps steps that computed something for it
 * @param cacheBytes bytes of keys, values and states that were kept for it at the most, without a
 *     beginning that it found computed
 */
public record Usage(
    int promptTokens,
    int cachedTokens,
    int tokens,
    double prefillSeconds,
    double decodeSeconds,
    double secondsToFirstToken,
    int steps,
    long cacheBytes)
    implements Event {
  /** Nothing yet. */
  public static final Usage NONE = new Usage(0, 0, 0, 0, 0, 0, 0, 0);

  /** Rate of reading the prompt, without what was cached; 0 if nothing was read yet. */
  public double prefillTokensPerSecond() {
    return prefillSeconds > 0 ? (promptTokens - cachedTokens) / prefillSeconds : 0;
  }

  /** Seconds between a token after the first and the one before it; 0 if there is no second. */
  public double secondsPerToken() {
    return tokens > 1 ? decodeSeconds / (tokens - 1) : 0;
  }

  /** Rate of writing the answer after its first token; 0 if there is no second. */
  public double decodeTokensPerSecond() {
    return decodeSeconds > 0 ? (tokens - 1) / decodeSeconds : 0;
  }
}
