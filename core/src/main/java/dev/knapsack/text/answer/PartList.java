package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Part;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * The parts of an answer so far: pieces of text, or of reasoning, that follow each other are one.
 */
public final class PartList implements Consumer<Event> {
  private final List<Part> ended = new ArrayList<>();
  private final StringBuilder open = new StringBuilder();
  private boolean reasoning;

  @Override
  public void accept(Event event) {
    switch (event) {
      case Event.Text(String text) -> piece(text, false);
      case Event.Reasoning(String text) -> piece(text, true);
      case Event.Call(int _, Part.ToolCall call) -> {
        end();
        ended.add(call);
      }
      case Event.CallBegins _, Event.Arguments _ -> {} // the call has all of it
      case Event.Token _, Event.End _, Event.Failure _, Usage _ -> {}
    }
  }

  private void piece(String text, boolean thought) {
    if (thought != reasoning) {
      end();
    }
    reasoning = thought;
    open.append(text);
  }

  private void end() {
    if (!open.isEmpty()) {
      ended.add(openPart());
      open.setLength(0);
    }
  }

  private Part openPart() {
    return reasoning ? new Part.Reasoning(open.toString()) : new Part.Text(open.toString());
  }

  /** All parts so far. */
  public List<Part> parts() {
    List<Part> all = new ArrayList<>(ended);
    if (!open.isEmpty()) {
      all.add(openPart());
    }
    return all;
  }
}
