package dev.knapsack.serve;

import dev.knapsack.message.Part;
import org.jspecify.annotations.Nullable;

/**
 * An answer's parts as blocks with numbers from 0: pieces of text that follow each other are one
 * block, so are those of reasoning, and each call is one.
 */
public final class Blocks {
  /** Is told of each block: its beginning, one piece or more, its end. */
  public interface Reader {
    /**
     * @param first the piece that comes next
     */
    void begins(int index, Part first);

    /** A piece of a text or of reasoning, or a whole call. */
    void piece(int index, Part piece);

    /**
     * @param whole all of its pieces
     */
    void ends(int index, Part whole);
  }

  private final Reader reader;
  private final StringBuilder text = new StringBuilder();
  private int index;
  private @Nullable Part open;

  public Blocks(Reader reader) {
    this.reader = reader;
  }

  /** Takes the next part, or piece of one. */
  public void next(Part part) {
    if (open == null || open.getClass() != part.getClass()) {
      finish();
      open = part;
      reader.begins(index, part);
    }
    reader.piece(index, part);
    switch (part) {
      case Part.Text(String piece) -> text.append(piece);
      case Part.Reasoning(String piece) -> text.append(piece);
      case Part.ToolCall _, Part.ToolResult _, Part.Media _ -> finish();
    }
  }

  /** Ends the block that is open. */
  public void finish() {
    if (open != null) {
      Part whole =
          switch (open) {
            case Part.Text _ -> new Part.Text(text.toString());
            case Part.Reasoning _ -> new Part.Reasoning(text.toString());
            case Part.ToolCall _, Part.ToolResult _, Part.Media _ -> open;
          };
      open = null;
      text.setLength(0);
      reader.ends(index++, whole);
    }
  }
}
