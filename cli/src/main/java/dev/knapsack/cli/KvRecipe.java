package dev.knapsack.cli;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.UnsupportedFormatException;
import java.util.Optional;

/**
 * The value of {@code --kv}: which tokens are kept, or that the plan chooses that and the formats.
 *
 * @param policy which tokens are kept; empty if the plan chooses
 */
record KvRecipe(Optional<KvPolicy> policy) {
  /** The recipe that forgets nothing. */
  static final KvRecipe FULL = new KvRecipe(Optional.of(KvPolicy.FULL));

  private static final KvRecipe AUTO = new KvRecipe(Optional.empty());

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
      return new KvRecipe(Optional.of(Recipe.of(text)));
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
