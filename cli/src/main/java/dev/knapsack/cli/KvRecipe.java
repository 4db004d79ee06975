package dev.knapsack.cli;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.tensor.UnsupportedFormatException;

/**
 * What {@code --kv} says: which tokens are kept, or that the plan chooses what forgets none.
 *
 * @param policy which tokens are kept
 * @param auto whether the plan chooses the formats too, as {@code --kv-format auto} has it
 */
record KvRecipe(KvPolicy policy, boolean auto) {
  /** Nothing is forgotten. */
  static final KvRecipe FULL = new KvRecipe(KvPolicy.FULL, false);

  private static final KvRecipe AUTO = new KvRecipe(KvPolicy.FULL, true);

  /**
   * Reads a recipe, or {@code auto}.
   *
   * @throws IllegalArgumentException if there is none: says what there is
   */
  static KvRecipe of(String text) {
    if (text.strip().equalsIgnoreCase("auto")) {
      return AUTO;
    }
    try {
      return new KvRecipe(Recipe.of(text), false);
    } catch (IllegalArgumentException e) {
      if (isFormat(text)) {
        throw new IllegalArgumentException(
            "'%s' says in which format tokens are kept, not which: give it as --kv-format %s."
                .formatted(text, text),
            e);
      }
      throw e;
    }
  }

  private static boolean isFormat(String text) {
    try {
      KvFormat _ = KvFormat.parse(text);
      return true;
    } catch (IllegalArgumentException | UnsupportedFormatException e) {
      return false;
    }
  }
}
