package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;

/**
 * The texts that an answer may be: what a constraint has been made of. Several answers may be held
 * to one at once; whoever derives its terms locks it.
 */
public final class Language {
  final Terms terms;
  final Term root;

  /** One plain character. */
  final Term plain;

  /** A way to go on that no token of any vocabulary has. */
  final Term elsewhere;

  /**
   * @param root what an answer is to be a text of
   * @throws ConstraintException if there is none, or a name begins with itself
   */
  Language(Terms terms, Term root) {
    this.terms = terms;
    this.root = root;
    this.plain = terms.character(PlainRun.CHARACTERS);
    this.elsewhere = terms.special(Integer.MAX_VALUE - Term.SPECIAL);
    if (!root.live()) {
      throw new ConstraintException(
          "", "No text is as the constraint wants it: what it asks for excludes itself.");
    }
  }

  /**
   * The texts that a constraint lets through.
   *
   * @throws ConstraintException if it is malformed, or asks for what cannot be held to
   */
  public static Language of(Constraint constraint) {
    Terms terms = new Terms();
    return new Language(terms, term(terms, constraint));
  }

  /** The texts of a constraint, among others. */
  static Term term(Terms terms, Constraint constraint) {
    return switch (constraint) {
      case Constraint.Json() -> JsonSchemas.term(terms, "{\"type\": \"object\"}");
      case Constraint.JsonSchema(String schema) -> JsonSchemas.term(terms, schema);
      case Constraint.Grammar(String gbnf) -> Grammar.term(terms, gbnf);
      case Constraint.Regex(String pattern) -> Regex.parse(pattern).whole(terms, terms::character);
      case Constraint.Choice(var texts) -> {
        if (texts.isEmpty()) {
          throw new ConstraintException("", "A choice of no texts; give one at the least.");
        }
        yield terms.choice(texts.stream().map(terms::text).toList());
      }
    };
  }
}
