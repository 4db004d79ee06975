package dev.knapsack.generation;

/**
 * The tokens and the time that an answer took, so far.
 *
 * @param promptTokens tokens of the prompt
 * @param cachedTokens of these, those that were not computed: the session still had them, or
 *     another sequence with the same beginning
 * @param tokens tokens of the answer
 * @param prefillSeconds from the first step of the prompt to the first token of the answer
 * @param decodeSeconds of the steps that wrote the further tokens
 * @param secondsToFirstToken from asking to the first token, with waiting for others
 */
public record Usage(
    int promptTokens,
    int cachedTokens,
    int tokens,
    double prefillSeconds,
    double decodeSeconds,
    double secondsToFirstToken)
    implements Event {
  /** Rate of reading the prompt, without what was cached; 0 if nothing was read yet. */
  public double prefillTokensPerSecond() {
    return prefillSeconds > 0 ? (promptTokens - cachedTokens) / prefillSeconds : 0;
  }

  /** Rate of writing the answer after its first token; 0 if there is no second. */
  public double decodeTokensPerSecond() {
    return decodeSeconds > 0 ? (tokens - 1) / decodeSeconds : 0;
  }
}
