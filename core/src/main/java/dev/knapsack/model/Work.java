package dev.knapsack.model;

/**
 * Work of a step.
 *
 * @param bytes read from memory
 * @param multiplyAdds of matrix products, attention and recurrences
 */
public record Work(double bytes, double multiplyAdds) {
  public static final Work NONE = new Work(0, 0);

  public Work plus(Work other) {
    return new Work(bytes + other.bytes, multiplyAdds + other.multiplyAdds);
  }
}
