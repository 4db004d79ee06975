package dev.knapsack;

/**
 * A text as a vector.
 *
 * @param vector its numbers
 * @param tokens tokens that were read, special ones included
 * @param cut whether the text had more than the model reads at once, and its end was left out
 */
public record Embedding(float[] vector, int tokens, boolean cut) {
  /**
   * The cosine of the angle to another vector: 1 for the same direction, 0 for nothing in common.
   */
  public double cosine(Embedding other) {
    double product = 0;
    double mine = 0;
    double others = 0;
    for (int i = 0; i < vector.length; i++) {
      product += (double) vector[i] * other.vector[i];
      mine += (double) vector[i] * vector[i];
      others += (double) other.vector[i] * other.vector[i];
    }
    return mine == 0 || others == 0 ? 0 : product / Math.sqrt(mine * others);
  }
}
