package dev.knapsack.text.answer;

import dev.knapsack.message.Part;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * The parts of an answer so far: pieces of text, or of reasoning, that follow each other are one.
 */
public final class PartList implements Consumer<Part> {
  private final List<Part> ended = new ArrayList<>();
  private final StringBuilder open = new StringBuilder();
  private boolean reasoning;

  @Override
  public void accept(Part part) {
    switch (part) {
      case Part.Text(String text) -> piece(text, false);
      case Part.Reasoning(String text) -> piece(text, true);
      case Part.ToolCall _, Part.ToolResult _, Part.Media _ -> {
        end();
        ended.add(part);
      }
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
