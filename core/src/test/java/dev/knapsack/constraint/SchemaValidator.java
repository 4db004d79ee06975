package dev.knapsack.constraint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.SpecificationVersion;
import java.util.ArrayList;
import java.util.List;

/**
 * A validator of one schema that knows nothing of constraints, with numbers read as doubles and as
 * decimals: validators do either.
 */
final class SchemaValidator {
  private static final SchemaRegistryConfig CONFIG =
      SchemaRegistryConfig.builder().formatAssertionsEnabled(true).build();

  private final ObjectMapper doubles = new ObjectMapper();
  private final ObjectMapper decimals =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
  private final Schema inDoubles;
  private final Schema inDecimals;

  SchemaValidator(String schema) throws JsonProcessingException {
    SchemaRegistry registry =
        SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12, builder -> builder.schemaRegistryConfig(CONFIG));
    inDoubles = registry.getSchema(doubles.readTree(schema));
    inDecimals = registry.getSchema(decimals.readTree(schema));
  }

  /** All that is wrong with a text of JSON, in either reading; empty if it is valid. */
  List<Object> errors(String json) throws JsonProcessingException {
    List<Object> errors = new ArrayList<>(inDoubles.validate(doubles.readTree(json)));
    errors.addAll(inDecimals.validate(decimals.readTree(json)));
    return errors;
  }

  /** Says whether a text of JSON is valid with its numbers as they are written. */
  boolean accepts(String json) throws JsonProcessingException {
    return inDecimals.validate(decimals.readTree(json)).isEmpty();
  }
}
