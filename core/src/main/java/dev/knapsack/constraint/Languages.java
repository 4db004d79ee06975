package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.text.answer.AnswerOutline;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/**
 * The languages that a model's answers were held to last: who asks again for the same has their
 * terms, and with them the masks that are kept. Safe for use by many threads.
 */
public final class Languages {
  private static final int MOST = 8;

  private record Key(
      Optional<Constraint> constraint,
      Optional<AnswerLanguage.Calling> calling,
      Optional<AnswerOutline> outline) {}

  private final ToIntFunction<String> control;

  // Guarded by itself.
  private final Map<Key, Language> last = new LinkedHashMap<>(16, 0.75f, true);

  /**
   * @param control the control token that the vocabulary writes so, or -1
   */
  public Languages(ToIntFunction<String> control) {
    this.control = control;
  }

  /**
   * The language of a text.
   *
   * @throws ConstraintException if it cannot be held to what is wanted
   */
  public Language of(Constraint constraint) {
    Key key = new Key(Optional.of(constraint), Optional.empty(), Optional.empty());
    return kept(key, () -> Optional.of(Language.of(constraint))).orElseThrow();
  }

  /**
   * The language of an answer to a conversation; see {@link AnswerLanguage#of}.
   *
   * @throws ConstraintException if it cannot be held to what is wanted
   */
  public Optional<Language> of(
      Optional<Constraint> constraint, AnswerLanguage.Calling calling, AnswerOutline outline) {
    return kept(
        new Key(constraint, Optional.of(calling), Optional.of(outline)),
        () -> AnswerLanguage.of(constraint, calling, outline, control));
  }

  private Optional<Language> kept(Key key, Supplier<Optional<Language>> make) {
    synchronized (last) {
      Language known = last.get(key);
      if (known != null) {
        return Optional.of(known);
      }
    }
    Optional<Language> made = make.get();
    made.ifPresent(language -> {
      synchronized (last) {
        last.put(key, language);
        if (last.size() > MOST) {
          last.remove(last.keySet().iterator().next());
        }
      }
    });
    return made;
  }
}
