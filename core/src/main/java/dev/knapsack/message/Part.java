package dev.knapsack.message;

import java.util.Arrays;

/** One part of what a {@link Message} says. */
public sealed interface Part {
  /** Text that is said. */
  record Text(String text) implements Part {}

  /** Text that a model thought before it spoke; templates leave out what no longer counts. */
  record Reasoning(String text) implements Part {}

  /**
   * The call of a tool by a model.
   *
   * @param id what the result refers to
   * @param name of the tool
   * @param arguments a JSON object; where a model's answer was cut within it, its beginning
   */
  record ToolCall(String id, String name, String arguments) implements Part {}

  /**
   * The result of a call.
   *
   * @param id the call's; empty for the first call without a result
   * @param text what the tool gave back
   */
  record ToolResult(String id, String text) implements Part {}

  /**
   * A picture, a sound, or another thing that is no text.
   *
   * @param type its media type, such as {@code image/png}
   */
  record Media(String type, byte[] bytes) implements Part {
    public Media {
      bytes = bytes.clone();
    }

    @Override
    public byte[] bytes() {
      return bytes.clone();
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Media media
          && type.equals(media.type)
          && Arrays.equals(bytes, media.bytes);
    }

    @Override
    public int hashCode() {
      return 31 * type.hashCode() + Arrays.hashCode(bytes);
    }

    @Override
    public String toString() {
      return "Media[type=%s, bytes=%,d]".formatted(type, bytes.length);
    }
  }
}
