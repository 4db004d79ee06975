package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;

/**
 * JSON Schema (draft 2020-12, and what older drafts write in other words) as terms.
 *
 * <p>Every text of the term is JSON that the schema accepts. What cannot be decided while a value
 * is written is refused, by keyword and place, and never left out; what the standard does not know
 * says nothing, as it has it. docs/constraints.md says what is exact.
 */
final class JsonSchemas {
  private JsonSchemas() {}

  /**
   * The texts of values that a schema accepts. There may be none: a schema can contradict itself.
   *
   * @throws ConstraintException if the text is no schema, or asks for what cannot be honoured; its
   *     place is a JSON pointer
   */
  static Term term(Terms terms, String schema) {
    SchemaDocument document = new SchemaDocument(schema);
    Scratch scratch = new Scratch();
    int number = 0;
    while (terms.isDefined("schema " + number)) {
      number++;
    }
    String name = "schema " + number;
    SchemaValues values = new SchemaValues(document, scratch);
    Term term =
        new SchemaText(name + " ", terms, values, scratch).of(Conjunction.of(document.root()));
    terms.define(name, term);
    return term;
  }
}
