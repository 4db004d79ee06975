package dev.knapsack.error;

/**
 * A constraint on an answer cannot be honoured: it is malformed, or asks for what no answer of this
 * model can be held to. Thrown before anything is generated.
 */
public final class ConstraintException extends KnapsackException {
  private final String place;

  /**
   * @param place where in the constraint: a JSON pointer, a line and a column, a name; empty where
   *     all of it is meant
   * @param problem what is wrong there, and what would work
   */
  public ConstraintException(String place, String problem) {
    super(Kind.REQUEST, place.isEmpty() ? problem : place + ": " + problem);
    this.place = place;
  }

  /** The place in the constraint; empty where all of it is meant. */
  public String place() {
    return place;
  }
}
