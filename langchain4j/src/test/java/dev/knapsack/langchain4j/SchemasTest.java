package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonParser;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.json.JsonAnyOfSchema;
import dev.langchain4j.model.chat.request.json.JsonArraySchema;
import dev.langchain4j.model.chat.request.json.JsonNullSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonRawSchema;
import dev.langchain4j.model.chat.request.json.JsonReferenceSchema;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import dev.langchain4j.model.chat.request.json.JsonStringSchema;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SchemasTest {
  @Test
  void everyKindIsWritten() {
    JsonSchemaElement schema =
        JsonObjectSchema.builder()
            .description("all")
            .addStringProperty("name", "a name")
            .addIntegerProperty("age")
            .addNumberProperty("height")
            .addBooleanProperty("here")
            .addEnumProperty("color", List.of("red", "blue"))
            .addProperty("tags", JsonArraySchema.builder().items(new JsonStringSchema()).build())
            .addProperty("any", JsonArraySchema.builder().build())
            .addProperty(
                "other",
                JsonAnyOfSchema.builder()
                    .anyOf(
                        JsonReferenceSchema.builder().reference("person").build(),
                        new JsonNullSchema())
                    .build())
            .addProperty("map", JsonObjectSchema.builder().build())
            .addProperty("raw", JsonRawSchema.from("{\"const\": 7}"))
            .required("name", "age")
            .definitions(
                Map.of(
                    "person",
                    JsonObjectSchema.builder()
                        .addStringProperty("name")
                        .additionalProperties(true)
                        .build()))
            .build();
    String expected =
        """
        {'type': 'object', 'description': 'all',
         'properties': {
           'name': {'type': 'string', 'description': 'a name'},
           'age': {'type': 'integer'}, 'height': {'type': 'number'}, 'here': {'type': 'boolean'},
           'color': {'type': 'string', 'enum': ['red', 'blue']},
           'tags': {'type': 'array', 'items': {'type': 'string'}},
           'any': {'type': 'array'},
           'other': {'anyOf': [{'$ref': '#/$defs/person'}, {'type': 'null'}]},
           'map': {'type': 'object', 'properties': {}},
           'raw': {'const': 7}},
         'required': ['name', 'age'], 'additionalProperties': false,
         '$defs': {'person': {'type': 'object', 'properties': {'name': {'type': 'string'}},
           'additionalProperties': true}}}
        """;
    assertThat(JsonParser.parseString(Schemas.text(schema)))
        .isEqualTo(JsonParser.parseString(expected.replace('\'', '"')));
  }

  @Test
  void otherKindsAreRefused() {
    assertThatThrownBy(() -> Schemas.text(() -> "of somebody else's"))
        .isInstanceOf(UnsupportedFeatureException.class)
        .hasMessageContaining("JsonRawSchema");
  }
}
