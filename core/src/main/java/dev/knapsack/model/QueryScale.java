package dev.knapsack.model;

/**
 * Attention temperature by position: a query at position {@code p} is multiplied by {@code 1 +
 * slope · ln(1 + ⌊p / span⌋)}.
 *
 * @param slope growth per unit of the logarithm
 * @param span tokens that share a factor, usually the context the model was first trained for
 */
public record QueryScale(float slope, int span) {
  /** The factor of a query at this position, counted from 0. */
  public float at(int position) {
    return (float) (1 + slope * Math.log1p(Math.floorDiv(position, span)));
  }
}
