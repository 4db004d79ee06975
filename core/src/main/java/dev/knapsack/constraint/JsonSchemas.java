package dev.knapsack.constraint;

/** Terms of JSON that a schema describes. */
final class JsonSchemas {
  private JsonSchemas() {}

  static Term term(Terms terms, String schema) {
    Term blank = terms.repeat(terms.bytes(ByteSet.of(' ', '\n')), 0, 1);
    Term hex = terms.bytes(ByteSet.range('0', '9').or(ByteSet.range('a', 'f')));
    Term character =
        terms.choice(
            terms.character(Masks.PLAIN),
            terms.sequence(terms.text("\\"), terms.bytes(ByteSet.of('"', '\\', 'n', 't'))),
            terms.sequence(terms.text("\\u00"), hex, hex));
    Term string = terms.sequence(terms.text("\""), terms.repeat(character, 0, -1), terms.text("\""));
    Term digits = terms.repeat(terms.bytes(ByteSet.range('0', '9')), 1, -1);
    Term value = terms.reference("json");
    Term comma = terms.sequence(terms.text(","), blank);
    Term member = terms.sequence(string, terms.text(":"), blank, value);
    Term members = terms.sequence(member, terms.repeat(terms.sequence(comma, member), 0, -1), blank);
    Term items = terms.sequence(value, terms.repeat(terms.sequence(comma, value), 0, -1), blank);
    Term object =
        terms.sequence(terms.text("{"), blank, terms.repeat(members, 0, 1), terms.text("}"));
    if (!terms.isDefined("json")) {
      terms.define(
          "json",
          terms.choice(
              object,
              terms.sequence(terms.text("["), blank, terms.repeat(items, 0, 1), terms.text("]")),
              string,
              terms.sequence(terms.repeat(terms.text("-"), 0, 1), digits),
              terms.text("true"),
              terms.text("false"),
              terms.text("null")));
    }
    return schema.contains("object") ? object : value;
  }
}
