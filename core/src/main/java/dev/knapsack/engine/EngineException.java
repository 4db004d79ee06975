package dev.knapsack.engine;

/**
 * What goes wrong in an engine that is neither the file's ({@link
 * dev.knapsack.file.ModelFileException}) nor the budget's ({@link
 * dev.knapsack.memory.BudgetExceededException}).
 */
public abstract sealed class EngineException extends RuntimeException
    permits ContextExceededException,
        EngineClosedException,
        LogitsException,
        PlanMismatchException,
        QueueFullException,
        SequencesExceededException,
        WaitInterruptedException {
  EngineException(String message) {
    super(message);
  }
}
