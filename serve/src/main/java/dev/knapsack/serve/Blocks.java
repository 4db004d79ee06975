package dev.knapsack.serve;

import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import org.jspecify.annotations.Nullable;

/**
 * The parts of an answer as blocks with numbers from 0: pieces of text that follow each other are
 * one block, so are those of reasoning, and each call is one.
 */
public final class Blocks {
  /** Is told of each block: its beginning, one piece or more, its end. */
  public interface Reader {
    /**
     * @param empty the part that begins, without what it says
     */
    void begins(int index, Part empty);

    /**
     * @param open the part that it goes on with, without what it says
     * @param piece of its text, or of its arguments
     */
    void piece(int index, Part open, String piece);

    /**
     * @param whole all of its pieces
     */
    void ends(int index, Part whole);
  }

  private static final Part TEXT = new Part.Text("");
  private static final Part REASONING = new Part.Reasoning("");

  private final Reader reader;
  private final boolean severalCalls;
  private final StringBuilder text = new StringBuilder();
  private int index;
  private boolean called;
  private @Nullable Part open;

  /**
   * @param severalCalls false to leave out what comes after the first call
   */
  public Blocks(boolean severalCalls, Reader reader) {
    this.severalCalls = severalCalls;
    this.reader = reader;
  }

  /** Takes the next event of the answer; those that add nothing to what is said are ignored. */
  public void next(Event event) {
    if (called && !severalCalls && !(open instanceof Part.ToolCall)) {
      return;
    }
    switch (event) {
      case Event.Text(String piece) -> grow(TEXT, piece);
      case Event.Reasoning(String piece) -> grow(REASONING, piece);
      case Event.CallBegins(int _, String id, String name) -> {
        begin(new Part.ToolCall(id, name, ""));
        called = true;
      }
      case Event.Arguments(int _, String piece) -> piece(piece);
      case Event.Call _ -> finish();
      case Event.Token _, Event.End _, Event.Failure _, Usage _ -> {}
    }
  }

  /** Takes a whole answer. */
  public void all(Message message) {
    for (Part part : message.parts()) {
      switch (part) {
        case Part.Text(String said) -> next(new Event.Text(said));
        case Part.Reasoning(String thought) -> next(new Event.Reasoning(thought));
        case Part.ToolCall call -> {
          next(new Event.CallBegins(0, call.id(), call.name()));
          next(new Event.Arguments(0, call.arguments()));
          next(new Event.Call(0, call));
        }
        case Part.ToolResult _, Part.Media _ ->
            throw new IllegalStateException("no model's: " + part);
      }
    }
  }

  /** Says whether there is a call. */
  public boolean called() {
    return called;
  }

  private void grow(Part empty, String piece) {
    if (!piece.isEmpty()) {
      if (!empty.equals(open)) {
        begin(empty);
      }
      piece(piece);
    }
  }

  private void begin(Part empty) {
    finish();
    open = empty;
    reader.begins(index, empty);
  }

  private void piece(String piece) {
    if (open != null) {
      text.append(piece);
      reader.piece(index, open, piece);
    }
  }

  /** Ends the block that is open. */
  public void finish() {
    if (open != null) {
      String all = text.toString();
      Part whole =
          switch (open) {
            case Part.Text _ -> new Part.Text(all);
            case Part.Reasoning _ -> new Part.Reasoning(all);
            case Part.ToolCall(String id, String name, String _) ->
                new Part.ToolCall(id, name, all);
            case Part.ToolResult _, Part.Media _ -> throw new IllegalStateException("no model's");
          };
      open = null;
      text.setLength(0);
      reader.ends(index++, whole);
    }
  }
}
