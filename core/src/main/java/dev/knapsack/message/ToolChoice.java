package dev.knapsack.message;

/** The say that a model has in whether it calls a tool, and which. */
public sealed interface ToolChoice {
  /** It may. */
  record Auto() implements ToolChoice {}

  /** It may not. */
  record None() implements ToolChoice {}

  /** It must call one, whichever. */
  record Required() implements ToolChoice {}

  /** It must call the tool of this name. */
  record Named(String name) implements ToolChoice {}

  ToolChoice AUTO = new Auto();
  ToolChoice NONE = new None();
  ToolChoice REQUIRED = new Required();
}
