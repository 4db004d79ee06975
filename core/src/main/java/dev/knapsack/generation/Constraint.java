package dev.knapsack.generation;

import java.util.List;

/**
 * The form that an answer must have: every answer that ends by itself has it, whatever the model
 * would rather write. One that is cut short, by its length, a stop string or a deadline, is the
 * beginning of one that has it.
 */
public sealed interface Constraint {
  /** Any object of JSON. */
  record Json() implements Constraint {}

  /**
   * JSON that a schema describes.
   *
   * @param schema a JSON Schema, as a text in JSON
   */
  record JsonSchema(String schema) implements Constraint {}

  /**
   * A text of a grammar.
   *
   * @param gbnf rules in the notation of llama.cpp, of which {@code root} is the first
   */
  record Grammar(String gbnf) implements Constraint {}

  /** A text that a regular expression matches as a whole. */
  record Regex(String pattern) implements Constraint {}

  /** One of several texts. */
  record Choice(List<String> texts) implements Constraint {
    public Choice {
      texts = List.copyOf(texts);
    }
  }
}
