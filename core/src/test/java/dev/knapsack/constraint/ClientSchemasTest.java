package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.SpecificationVersion;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The schemas that libraries send, as they write them. */
class ClientSchemasTest {
  private static final String DATE =
      "(?:(?:\\\\d\\\\d[2468][048]|\\\\d\\\\d[13579][26]|\\\\d\\\\d0[48]|[02468][048]00|[13579][26]00)-02-29"
          + "|\\\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\\\d|30)"
          + "|(?:02)-(?:0[1-9]|1\\\\d|2[0-8])))";

  private static final String TIME =
      "(?:[01]\\\\d|2[0-3]):[0-5]\\\\d(?::[0-5]\\\\d(?:\\\\.\\\\d+)?)?";

  /** Formats say nothing: zod's time has no zone, and its pattern says so. */
  private static final SchemaRegistryConfig PATTERNS =
      SchemaRegistryConfig.builder().formatAssertionsEnabled(false).build();

  /** A schema, and a value of it. */
  enum Client {
    /** The helper for strict schemas of openai's library for JavaScript, with zod. */
    ZOD_STRICT(
        """
        {"type":"object","properties":{
          "email":{"type":"string","format":"email",
            "pattern":"^(?!\\\\.)(?!.*\\\\.\\\\.)([A-Za-z0-9_'+\\\\-\\\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\\\-]*\\\\.)+[A-Za-z]{2,}$"},
          "day":{"type":"string","format":"date","pattern":"^%1$s$"},
          "at":{"type":"string","format":"date-time","pattern":"^%1$sT(?:%2$s(?:Z))$"},
          "time":{"type":"string","format":"time","pattern":"^%2$s$"},
          "id":{"type":"string","format":"uuid",
            "pattern":"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"},
          "address":{"type":"string","format":"ipv4",
            "pattern":"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\\\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])$"},
          "begins":{"type":"string","format":"starts_with","pattern":"^ab.*"},
          "count":{"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991},
          "price":{"type":"number","exclusiveMinimum":0,"multipleOf":0.01},
          "kind":{"type":"string","const":"order"},
          "note":{"anyOf":[{"type":"string","maxLength":40},{"type":"null"}],"default":null},
          "parts":{"type":"array","items":{"$ref":"#"},"maxItems":2}},
         "required":["email","day","at","time","id","address","begins","count","price","kind","note","parts"],
         "additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#"}
        """
            .formatted(DATE, TIME),
        """
        {"email":"it's.me+x@example.com","day":"2024-02-29","at":"2026-11-30T12:00:01.5Z","time":"12:30",
        "id":"123e4567-e89b-12d3-a456-426614174000","address":"10.0.0.255","begins":"abc","count":-3,"price":9.99,
        "kind":"order","note":null,"parts":[]}\
        """),

    /** LangChain4j, of a record with an enumeration, an optional field and itself. */
    LANGCHAIN4J(
        """
        {"type":"object","properties":{
          "name":{"type":"string","description":"The whole name"},
          "age":{"type":"integer"},
          "height":{"type":"number"},
          "married":{"type":"boolean"},
          "status":{"type":"string","enum":["ACTIVE","GONE"]},
          "nick":{"type":"object","properties":{"value":{}},"required":[]},
          "friends":{"type":"array","items":{"$ref":"#/$defs/0b7b"}}},
         "required":["name"],"additionalProperties":false,
         "$defs":{"0b7b":{"type":"object","properties":{"name":{"type":"string"},
           "friends":{"type":"array","items":{"$ref":"#/$defs/0b7b"}}},"required":["name","friends"],"additionalProperties":false}}}
        """,
        """
        {
          "name": "Ada",
          "height": 1.7,
          "status": "GONE",
          "nick": {"value": [1]},
          "friends": [
            {
              "name": "Bob",
              "friends": []
            }
          ]
        }\
        """),

    /** Spring AI, of a record with numbers of Java's types. */
    SPRING_AI(
        """
        {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{
          "actor":{"type":"string"},
          "born":{"type":"integer","format":"int32"},
          "id":{"type":"integer","format":"int64"},
          "rating":{"type":"number","format":"double"},
          "when":{"type":["string","null"],"format":"date-time"},
          "movies":{"type":"array","items":{"type":"string"}}},
         "required":["actor","born","id","rating","movies"],"additionalProperties":false}
        """,
        """
        {"actor":"Tilda","born":1960,"id":123456789012345678,"rating":8.5,"when":null,"movies":["Orlando","\\u00c9"]}\
        """),

    /** Pydantic, of models with unions, constants, pairs and maps. */
    PYDANTIC(
        """
        {"$defs":{
          "Cat":{"properties":{"kind":{"const":"cat","title":"Kind","type":"string"},
            "lives":{"default":9,"exclusiveMinimum":0,"maximum":9,"title":"Lives","type":"integer"}},
            "required":["kind"],"title":"Cat","type":"object"},
          "Dog":{"properties":{"kind":{"const":"dog","title":"Kind","type":"string"},
            "toys":{"items":{"enum":["ball","bone"],"type":"string"},"title":"Toys","type":"array","uniqueItems":true}},
            "required":["kind","toys"],"title":"Dog","type":"object","additionalProperties":false}},
         "properties":{
          "pet":{"discriminator":{"mapping":{"cat":"#/$defs/Cat","dog":"#/$defs/Dog"},"propertyName":"kind"},
            "oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}],"title":"Pet"},
          "at":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"title":"At","type":"array"},
          "scores":{"additionalProperties":{"type":"integer"},"title":"Scores","type":"object"},
          "price":{"anyOf":[{"type":"number"},{"type":"string","pattern":"^(?!^[-+.]*$)[+-]?0*\\\\d*\\\\.?\\\\d*$"}],"title":"Price"},
          "extra":{"anyOf":[{},{"type":"null"}],"default":null}},
         "required":["pet","at"],"title":"Owner","type":"object"}
        """,
        """
        {"pet": {"kind": "dog", "toys": ["bone", "ball"]}, "at": [1.5, -2], "scores": {"a": 1}, "price": "+3.50", "more": null}\
        """);

    final String schema;
    final String value;

    Client(String schema, String value) {
      this.schema = schema;
      this.value = value;
    }
  }

  @ParameterizedTest
  @EnumSource
  void isHonoured(Client client) {
    Term term = JsonSchemas.term(new Terms(), client.schema);
    assertThat(Walk.accepts(term, client.value)).isTrue();

    SchemaRegistry registry =
        SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12, builder -> builder.schemaRegistryConfig(PATTERNS));
    List<String> names =
        Pattern.compile("\"required\":\\[([^\\]]*)")
            .matcher(client.schema)
            .results()
            .flatMap(list -> Arrays.stream(list.group(1).replace("\"", "").split(",")))
            .toList();
    Random random = new Random(11);
    for (int i = 0; i < 5; i++) {
      String answer = Walk.through(term, random, names).orElseThrow();
      List<Error> errors = registry.getSchema(client.schema).validate(answer, InputFormat.JSON);
      assertThat(errors).as(answer).isEmpty();
    }
  }
}
