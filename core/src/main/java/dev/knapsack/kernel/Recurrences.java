package dev.knapsack.kernel;

/** Steps of recurrences, in which a layer carries a state from token to token. */
public interface Recurrences {
  /**
   * A token's step of the gated delta rule, in all columns of a head's state or in some, which do
   * not see each other: {@code S = diag(decay) S}, {@code S += strength · key ⊗ (value − key S)},
   * {@code out = query S}.
   *
   * @param decay what is kept, of the numbers of each row of the state
   * @param value in these columns
   * @param state S, as many rows as a key has numbers of as many as {@code value} has
   * @param out receives as many numbers as {@code value} has
   */
  void deltaRule(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out);
}
