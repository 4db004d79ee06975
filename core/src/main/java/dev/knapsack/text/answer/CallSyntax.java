package dev.knapsack.text.answer;

import java.util.List;
import java.util.Optional;

/** The way in which a family writes calls behind a mark. */
interface CallSyntax {
  /** More must come before the end is known. */
  int MORE = -1;

  /** The text that has come is no call, whatever follows. */
  int NONE = -2;

  /** A reading of what follows one mark. */
  Span span(Schemas schemas);

  /** The text that follows one mark, while it comes; each character is looked at once. */
  interface Span {
    /**
     * The place behind the calls.
     *
     * @param body all that has come behind the mark
     * @param last nothing more will
     * @return a place, or {@link #MORE}, or {@link #NONE}
     */
    int end(CharSequence body, boolean last);

    /** The calls, at least one, up to that place; empty if they are not as they should be. */
    Optional<List<Call>> calls(String body);
  }
}
