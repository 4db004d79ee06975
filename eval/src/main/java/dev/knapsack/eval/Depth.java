package dev.knapsack.eval;

import com.google.gson.JsonObject;

/**
 * Questions whose answer stands at about the same depth of their prompts.
 *
 * @param percent of the prompt that comes before
 * @param asked questions
 * @param right those answered
 */
public record Depth(int percent, int asked, int right) {
  JsonObject json() {
    JsonObject object = new JsonObject();
    object.addProperty("percent", percent);
    object.addProperty("asked", asked);
    object.addProperty("right", right);
    return object;
  }

  /** A sum of answers. */
  static final class Sum {
    private int asked;
    private int right;

    void add(boolean answered) {
      asked++;
      right += answered ? 1 : 0;
    }

    Depth at(int percent) {
      return new Depth(percent, asked, right);
    }
  }
}
