package dev.knapsack.serve;

import java.util.Map;

/** The effort that a model is to think with before it speaks, as templates are told. */
public final class Thinking {
  /** The variable of an effort alone, which does not say whether a model is to think at all. */
  public static final String EFFORT = "reasoning_effort";

  private static final String ENABLED = "enable_thinking";
  private static final String NO_EFFORT = "none";

  private Thinking() {}

  /** The variables of thinking at all, or not. */
  public static Map<String, Object> wanted(boolean wanted) {
    return Map.of(ENABLED, wanted);
  }

  /** The variables of an effort, such as {@code low}; {@value #NO_EFFORT} is not thinking. */
  public static Map<String, Object> effort(String word) {
    return Map.of(EFFORT, word, ENABLED, !word.equals(NO_EFFORT));
  }
}
