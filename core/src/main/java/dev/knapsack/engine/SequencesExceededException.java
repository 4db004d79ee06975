package dev.knapsack.engine;

/** Thrown when more sequences are asked for than the plan lets live at once. */
public final class SequencesExceededException extends EngineException {
  SequencesExceededException(int asked, int live, int planned) {
    super(
        "%d more sequence(s) asked for while %d live, and the plan has room for %d. Close one, or plan more sequences."
            .formatted(asked, live, planned));
  }
}
