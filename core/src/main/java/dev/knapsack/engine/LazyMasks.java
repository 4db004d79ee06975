package dev.knapsack.engine;

import dev.knapsack.constraint.Masks;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.memory.Account;
import dev.knapsack.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/** The masks of an engine's vocabulary, which are made for the first answer that needs them. */
final class LazyMasks implements AutoCloseable {
  private final @Nullable Tokenizer tokenizer;
  private final int vocabulary;
  private final Account account;
  private final long planned;

  // Guarded by this object.
  private @Nullable Masks made;
  private boolean closed;

  /**
   * @param vocabulary tokens that may be chosen
   * @param planned bytes that the plan has for them; 0 if it counts none, and they take what is
   *     free
   */
  LazyMasks(@Nullable Tokenizer tokenizer, int vocabulary, Account account, long planned) {
    this.tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    this.account = account;
    this.planned = planned;
  }

  /**
   * The masks.
   *
   * @throws BudgetExceededException if they do not fit
   * @throws ConstraintException if the vocabulary allows of none
   */
  synchronized Masks get() {
    if (closed) {
      throw new EngineClosedException("engine");
    }
    if (tokenizer == null) {
      throw new IllegalArgumentException(
          "A constraint needs a tokenizer, and the engine has none.");
    }
    if (made == null) {
      made =
          planned == 0
              ? new Masks(tokenizer, vocabulary, account)
              : new Masks(tokenizer, vocabulary, account, planned);
    }
    return made;
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (made != null) {
      made.close();
      made = null;
    }
  }
}
