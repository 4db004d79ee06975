package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** The way in which a family writes calls behind a mark. */
interface CallSyntax {
  /** More must come before the end is known. */
  int MORE = -1;

  /** The text that has come is no call, whatever follows. */
  int NONE = -2;

  /**
   * A reading of what follows one mark.
   *
   * @param parts takes calls that begin before all has come
   */
  Span span(Schemas schemas, PartWriter parts);

  /** The text that follows one mark, while it comes; each character is looked at once. */
  interface Span {
    /**
     * The place behind the calls.
     *
     * @param body all that has come behind the mark
     * @param last nothing more will
     * @return a place, or {@link #MORE}, or, if none {@link #hasBegun}, {@link #NONE}
     */
    int end(CharSequence body, boolean last, Consumer<Event> out);

    /** Says whether a call has begun; then all up to the end has been given. */
    default boolean hasBegun() {
      return false;
    }

    /** The calls, at least one, up to that place; empty if they are not as they should be. */
    Optional<List<Call>> calls(String body);
  }
}
