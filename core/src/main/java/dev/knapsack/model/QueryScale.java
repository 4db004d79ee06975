package dev.knapsack.model;

/**
 * Attention temperature by position: a query at position {@code p} is multiplied by {@code 1 +
 * slope · ln(1 + ⌊(p + offset) / span⌋)}.
 *
 * @param slope growth per unit of the logarithm
 * @param span tokens that share a factor, usually the context the model was first trained for
 * @param offset added to positions, which count from 0
 */
public record QueryScale(float slope, int span, int offset) {
  /** The factor of a query at this position, counted from 0. */
  public float at(int position) {
    return (float) (1 + slope * Math.log1p(Math.floorDiv(position + offset, span)));
  }
}
