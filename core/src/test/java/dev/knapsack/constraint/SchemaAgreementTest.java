package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.text.answer.StrictJson;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * What may be written and what a validator of JSON Schema accepts. The property {@code
 * knapsack.schemas} says how many schemas are tried.
 */
class SchemaAgreementTest {
  private int refused;
  private int contradictory;
  private int written;
  private int abandoned;
  private int valid;

  @Test
  void whatIsWrittenIsValidAndWhatIsValidCanBeWritten() throws Exception {
    int schemas = Integer.getInteger("knapsack.schemas", 150);
    for (int seed = 0; seed < schemas; seed++) {
      compare(seed);
    }
    assertThat(written).isGreaterThan(2 * schemas);
    assertThat(valid).isGreaterThan(schemas);
    assertThat(refused).as("refused").isLessThan(schemas / 4);
    assertThat(contradictory).as("contradictory").isLessThan(schemas / 4);
    assertThat(abandoned).as("abandoned").isLessThan(schemas / 10);
  }

  void compare(int seed) throws Exception {
    Random random = new Random(seed);
    RandomSchemas generator = new RandomSchemas(random);
    String text = StrictJson.write(generator.document());
    String about = "seed " + seed + " " + text;
    Term term;
    try {
      term = JsonSchemas.term(new Terms(), text);
    } catch (ConstraintException e) {
      assertThat(e.place()).as("%s %s", about, e.getMessage()).startsWith("/");
      refused++;
      return;
    }
    SchemaValidator validator = new SchemaValidator(text);
    for (int walk = 0; walk < 4 && term.live(); walk++) {
      Optional<String> answer = Walk.through(term, random, RandomSchemas.NAMES);
      if (answer.isEmpty()) {
        abandoned++;
        continue;
      }
      written++;
      String json = answer.get();
      assertThat(StrictJson.parse(json)).as("%s wrote %s", about, json).isPresent();
      assertThat(validator.errors(json)).as("%s wrote %s", about, json).isEmpty();
      JsonElement value = JsonParser.parseString(json);
      for (int change = 0; change < 4; change++) {
        value = generator.changed(value);
        compare(term, validator, value, about);
      }
    }
    contradictory += term.live() ? 0 : 1;
    for (int value = 0; value < 10; value++) {
      compare(term, validator, generator.value(3), about);
    }
  }

  /**
   * A value as the generator has it: its texts have no characters that can be written in several
   * ways, and its numbers few digits.
   */
  private void compare(Term term, SchemaValidator validator, JsonElement value, String about)
      throws Exception {
    String json = StrictJson.write(value);
    boolean isValid = validator.accepts(json);
    if (Walk.accepts(term, json)) {
      assertThat(isValid).as("%s takes %s", about, json).isTrue();
    } else if (isValid && isPlain(json)) {
      assertThat(Walk.accepts(term, json)).as("%s refuses %s", about, json).isTrue();
    }
    valid += isValid ? 1 : 0;
  }

  /** Says whether all of a text is written as answers are. */
  private static boolean isPlain(String json) {
    return !json.matches("(?s).*(?:\\\\u|[0-9.]{16}|\\.0\\b|\\d[eE]|-0[^.]).*");
  }
}
