package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
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

  private boolean isValid(Schema schema, String document, ObjectMapper reader) throws Exception {
    return schema.validate(reader.readTree(document)).isEmpty();
  }

  @Test
  void whatIsWrittenIsValidAndWhatIsValidCanBeWritten() throws Exception {
    int schemas = Integer.getInteger("knapsack.schemas", 300);
    long first = Long.getLong("knapsack.seed", 0);
    int refused = 0;
    int contradictory = 0;
    int written = 0;
    int abandoned = 0;
    int valid = 0;
    for (int i = 0; i < schemas; i++) {
      Random random = new Random(first + i);
      RandomSchemas generator = new RandomSchemas(random);
      JsonObject document = generator.document();
      String text = StrictJson.write(document);
      Terms terms = new Terms();
      Term term;
      try {
        term = JsonSchemas.term(terms, text);
      } catch (ConstraintException e) {
        assertThat(e.place()).as("%d %s %s", first + i, e.getMessage(), text).startsWith("/");
        refused++;
        continue;
      }
      Schema schema = registry.getSchema(text);
      String about = "seed " + (first + i) + " " + text;
      if (!term.live()) {
        contradictory++;
      }
      for (int walk = 0; walk < 4 && term.live(); walk++) {
        Optional<String> answer = Walk.through(term, random);
        if (answer.isEmpty()) {
          abandoned++;
          continue;
        }
        written++;
        String json = answer.get();
        assertThat(StrictJson.parse(json)).as("%s wrote %s", about, json).isPresent();
        assertThat(schema.validate(decimals.readTree(json))).as("%s wrote %s", about, json).isEmpty();
        assertThat(schema.validate(doubles.readTree(json))).as("%s wrote %s", about, json).isEmpty();
        JsonElement value = JsonParser.parseString(json);
        for (int change = 0; change < 4; change++) {
          value = generator.changed(value);
          valid += compare(term, schema, value, about) ? 1 : 0;
        }
      }
      for (int value = 0; value < 10; value++) {
        valid += compare(term, schema, generator.value(3), about) ? 1 : 0;
      }
    }
    assertThat(written).isGreaterThan(2 * schemas);
    assertThat(valid).isGreaterThan(schemas);
    assertThat(refused).as("refused").isLessThan(schemas / 4);
    assertThat(contradictory).as("contradictory").isLessThan(schemas / 4);
    assertThat(abandoned).as("abandoned").isLessThan(schemas / 10);
  }

  /**
   * A value as the generator has it: its texts have no characters that can be written in several
   * ways, and its numbers few digits.
   */
  private boolean compare(Term term, Schema schema, JsonElement value, String about)
      throws Exception {
    String json = StrictJson.write(value);
    boolean valid = isValid(schema, json, decimals);
    if (Walk.accepts(term, json)) {
      assertThat(valid).as("%s takes %s", about, json).isTrue();
    } else if (valid && isPlain(json)) {
      assertThat(Walk.accepts(term, json)).as("%s refuses %s", about, json).isTrue();
    }
    return valid;
  }

  /** Says whether all of a text is written as answers are. */
  private static boolean isPlain(String json) {
    return !json.matches("(?s).*(?:\\\\u|[0-9.]{16}|\\.0\\b|\\d[eE]|-0[^.]).*");
  }
}
