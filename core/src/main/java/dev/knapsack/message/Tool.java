package dev.knapsack.message;

/**
 * A tool that a model may call.
 *
 * @param description what it does, for the model
 * @param parameters the JSON Schema of its arguments, an object
 */
public record Tool(String name, String description, String parameters) {}
