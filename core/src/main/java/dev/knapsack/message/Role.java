package dev.knapsack.message;

import java.util.Locale;

/** The one who speaks in a {@link Message}. */
public enum Role {
  /** Whoever runs the program: instructions that the whole conversation follows. */
  SYSTEM,
  /** The same, where a model's template tells the two apart. */
  DEVELOPER,
  USER,
  /** The model. */
  ASSISTANT,
  /** A tool that was called. */
  TOOL;

  /** The role as templates and APIs write it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * The role that is written so.
   *
   * @throws IllegalArgumentException if none is
   */
  public static Role of(String word) {
    for (Role role : values()) {
      if (role.word().equals(word)) {
        return role;
      }
    }
    throw new IllegalArgumentException(
        "No message has the role '%s'; there are system, developer, user, assistant and tool."
            .formatted(word));
  }
}
