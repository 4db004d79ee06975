package dev.knapsack.message;

/**
 * A tool that a model may call.
 *
 * @param description what it does, for the model
 * @param parameters the JSON Schema of its arguments, an object
 * @param strict whether the arguments of every call are held to the schema while they are written
 */
public record Tool(String name, String description, String parameters, boolean strict) {
  /** A tool whose arguments are as the model writes them. */
  public Tool(String name, String description, String parameters) {
    this(name, description, parameters, false);
  }

  public Tool withStrict(boolean value) {
    return new Tool(name, description, parameters, value);
  }
}
