package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.function.Consumer;

/** A reader that goes through the text that waits step by step, as far as it is certain. */
abstract class StepReader implements AnswerReader {
  final PartWriter parts;

  /** The text that has come and has not been read. */
  final StringBuilder waiting = new StringBuilder();

  StepReader(PartWriter parts) {
    this.parts = parts;
  }

  @Override
  public final void next(String piece, Consumer<Event> out) {
    waiting.append(piece);
    read(false, out);
  }

  @Override
  public final void finish(Consumer<Event> out) {
    read(true, out);
    parts.finish(out);
  }

  private void read(boolean last, Consumer<Event> out) {
    boolean more = true;
    while (more) {
      more = step(last, out);
    }
  }

  /**
   * Reads a step on.
   *
   * @param last true where nothing comes after what waits
   * @return whether there is another step
   */
  abstract boolean step(boolean last, Consumer<Event> out);
}
