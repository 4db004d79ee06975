package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.SpecificationVersion;
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
  private static final SchemaRegistryConfig CONFIG =
      SchemaRegistryConfig.builder().formatAssertionsEnabled(true).build();

  private final SchemaRegistry registry =
      SchemaRegistry.withDefaultDialect(
          SpecificationVersion.DRAFT_2020_12, builder -> builder.schemaRegistryConfig(CONFIG));
  private final ObjectMapper doubles = new ObjectMapper();
  private final ObjectMapper decimals =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  /** A schema with its numbers read as doubles, and as decimals: validators do either. */
  private record Validator(Schema inDoubles, Schema inDecimals) {}

  private Validator validator(String schema) throws Exception {
    return new Validator(
        registry.getSchema(doubles.readTree(schema)),
        registry.getSchema(decimals.readTree(schema)));
  }

  private void check(Validator validator, String json, String about) throws Exception {
    assertThat(validator.inDoubles.validate(doubles.readTree(json)))
        .as("%s wrote %s", about, json)
        .isEmpty();
    assertThat(validator.inDecimals.validate(decimals.readTree(json)))
        .as("%s wrote %s", about, json)
        .isEmpty();
  }

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
    Validator validator = validator(text);
    for (int walk = 0; walk < 4 && term.live(); walk++) {
      Optional<String> answer = Walk.through(term, random, RandomSchemas.NAMES);
      if (answer.isEmpty()) {
        abandoned++;
        continue;
      }
      written++;
      String json = answer.get();
      assertThat(StrictJson.parse(json)).as("%s wrote %s", about, json).isPresent();
      check(validator, json, about);
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
  private void compare(Term term, Validator validator, JsonElement value, String about)
      throws Exception {
    String json = StrictJson.write(value);
    boolean isValid = validator.inDecimals.validate(decimals.readTree(json)).isEmpty();
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
