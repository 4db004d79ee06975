package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ConstraintException;
import java.math.BigDecimal;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonSchemasTest {
  private static Term term(String schema) {
    return JsonSchemas.term(new Terms(), schema);
  }

  /** Schemas, texts that may be written, and others, which stand behind '!'. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        // Any value, and none
        "true | {\"a\": [1, null, -0.5e3]} | \"\\u00e9\\/\" | ! [1,] | ! 01 | ! \"\t\" | !"
            + " \"\\ud83d\"",
        "{} | {\n  \"a\": 1\n} | [] | ! {\"a\" :1} | ! [  1]",
        "{\"type\": \"object\"} | {} | {\"\":{}} | ! [] | ! null",
        "{\"unknown\": {\"type\": 5}, \"title\": 1} | 1 | \"a\"",
        // Objects
        "{\"properties\":{\"a\":{\"type\":\"integer\"}},\"type\":\"object\",\"additionalProperties\":false}"
            + " | {} | {\"a\":1} | ! {\"a\":1,\"a\":2} | ! {\"b\":1} | ! {\"\\u0061\":\"x\"}",
        "{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"type\":\"object\",\"required\":[\"b\"]}"
            + " | {\"b\":2} | {\"b\":2,\"a\":1} | {\"c\":0, \"a\":1, \"b\":2} | ! {\"a\":1} | !"
            + " {\"b\":1}",
        "{\"type\":\"object\",\"required\":[\"x\"],\"additionalProperties\":{\"type\":\"null\"}}"
            + " | {\"x\":null} | {\"y\":null,\"x\":null} | ! {} | ! {\"x\":1}",
        "{\"type\":\"object\",\"patternProperties\":{\"^n\":{\"type\":\"integer\"},\"s$\":{\"minimum\":5}},\"additionalProperties\":false}"
            + " | {\"n\":1} | {\"ns\":5} | {\"as\":\"t\"} | ! {\"ns\":1} | ! {\"b\":1}",
        "{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"a\",\"b\"]},\"minProperties\":2}"
            + " | {\"b\":1,\"a\":2} | ! {\"a\":1} | ! {\"a\":1,\"a\":2} | ! {\"a\":1,\"c\":2}",
        "{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2} | {\"a\":1} |"
            + " {\"b\":1,\"c\":2} | ! {} | ! {\"a\":1,\"b\":2,\"c\":3}",
        "{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]}} | {} | {\"b\":1} |"
            + " {\"a\":1,\"b\":2} | {\"b\":2,\"a\":1} | ! {\"a\":1}",
        "{\"type\":\"object\",\"properties\":{\"a\":true},\"unevaluatedProperties\":false} |"
            + " {\"a\":1} | ! {\"b\":1}",
        "{\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}},\"type\":\"object\",\"additionalProperties\":false}"
            + " | {} | {\"a\":{\"n\":{\"a\":{\"n\":{}}}}} | ! {\"a\":{}}",
        // Arrays
        "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,\"maxItems\":2}"
            + " | [true] | [true, false] | ! [] | ! [true,true,true] | ! [1]",
        "{\"type\":\"array\",\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false} | [] |"
            + " [1] | [1,2] | ! [2] | ! [1,2,3]",
        "{\"type\":\"array\",\"prefixItems\":[{\"const\":1}],\"minItems\":2,\"maxItems\":3} | [1,5]"
            + " | [1,\"a\",{}] | ! [1] | ! [1,2,3,4]",
        "{\"type\":\"array\",\"items\":[{\"const\":1}],\"additionalItems\":{\"const\":2}} | [1,2,2]"
            + " | ! [1,1]",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"contains\":{\"minimum\":5},\"minContains\":2}"
            + " | [5,6] | [1,5,1,6,1] | ! [5] | ! [1,1,1]",
        "{\"type\":\"array\",\"contains\":{\"const\":1},\"maxContains\":1,\"maxItems\":3} | [1] |"
            + " [2,1,2] | ! [] | ! [1,1] | ! [1,2,1]",
        "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",3]},\"uniqueItems\":true,\"minItems\":2}"
            + " | [\"a\",3] | [3,\"b\",\"a\"] | ! [\"a\"] | ! [\"a\",\"a\"]",
        "{\"type\":\"array\",\"maxItems\":1,\"uniqueItems\":true} | [] | [{}] | ! [1,1]",
        // Values
        "{\"const\":{\"a\":[1,{\"b\":null}],\"c\":\"x\"}} | {\"c\": \"x\", \"a\":[1,{\"b\":null}]}"
            + " | ! {\"a\":[1,{\"b\":null}]} | ! {}",
        "{\"enum\":[1,\"a\",null,{\"x\":1}],\"type\":[\"integer\",\"object\"],\"required\":[\"x\"]}"
            + " | 1 | {\"x\":1} | ! \"a\" | ! null",
        "{\"const\":\"\\u0001\\\"é\\n\"} | \"\\u0001\\\"é\\n\"",
        "{\"not\":{\"enum\":[\"a\",1,null]},\"type\":[\"string\",\"integer\",\"null\"]} | \"b\" |"
            + " \"\" | 2 | \"aa\" | ! \"a\" | ! 1 | ! null",
        "{\"not\":{\"type\":[\"string\",\"object\",\"array\"]}} | 1 | null | ! \"a\" | ! {}",
        // Texts
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3} | \"😀é\" | \"\\n\\\"\\\\\" |"
            + " \"\\ud83d\\ude00a\" | ! \"a\" | ! \"abcd\"",
        "{\"type\":\"string\",\"pattern\":\"b+\"} | \"abc\" | \"b\" | \"\\nb\" | ! \"a\" | !"
            + " \"\\u0062\"",
        "{\"type\":\"string\",\"pattern\":\"^\\\\d{2,}$\",\"maxLength\":3} | \"12\" | \"123\" | !"
            + " \"1234\" | ! \"1\"",
        "{\"type\":\"string\",\"not\":{\"pattern\":\"^a\"}} | \"\" | \"ba\" | ! \"a\" | ! \"ab\"",
        "{\"type\":\"string\",\"format\":\"date\"} | \"2024-02-29\" | \"1999-12-31\" | !"
            + " \"2023-02-29\" | ! \"2023-13-01\" | ! \"1900-02-29\"",
        "{\"type\":\"string\",\"format\":\"date-time\"} | \"2024-02-29T23:59:59.5Z\" |"
            + " \"2024-01-01T00:00:00+02:00\" | ! \"2024-01-01T00:00:00\" | !"
            + " \"2024-01-01T24:00:00Z\"",
        "{\"type\":\"string\",\"format\":\"duration\"} | \"P3D\" | \"PT1H30M\" | \"P1Y2M3DT4H\" |"
            + " \"P2W\" | ! \"P\" | ! \"P1DT\"",
        "{\"type\":\"string\",\"format\":\"email\"} | \"first.last+tag@example.co.uk\" |"
            + " \"a@b.info\" | ! \"a@b\" | ! \"a@@b.de\"",
        "{\"type\":\"string\",\"format\":\"ipv6\"} | \"::1\" | \"2001:db8::8a2e:370:7334\" |"
            + " \"1:2:3:4:5:6:7:8\" | \"1::\" | ! \"1:2:3:4:5:6:7\" | ! \"1::2::3\" | !"
            + " \"1:2:3:4:5:6:7:8::\"",
        "{\"type\":\"string\",\"format\":\"uri\"} | \"https://example.com:80/a/b?q=1#x\" |"
            + " \"mailto:a@b.de\" | ! \"/a\" | ! \"a b\"",
        "{\"type\":\"string\",\"format\":\"time\",\"pattern\":\"^\\\\d\\\\d:\\\\d\\\\d$\"} |"
            + " \"12:34\" | ! \"12:34:56Z\"",
        "{\"type\":\"string\",\"format\":\"time\",\"pattern\":\"^1\"} | \"12:34:56Z\" | ! \"12:34\""
            + " | ! \"02:34:56Z\"",
        "{\"type\":\"string\",\"format\":\"unknown\"} | \"\" | \"x\"",
        // Numbers
        "{\"type\":\"integer\"} | 0 | -12 | 123456789012345678 | ! 1.0 | ! -0 | ! 1e3 | !"
            + " 1234567890123456789",
        "{\"type\":\"integer\",\"minimum\":-5,\"exclusiveMaximum\":120} | -5 | 0 | 119 | ! -6 | !"
            + " 120 | ! 1000",
        "{\"type\":\"integer\",\"format\":\"int32\"} | 2147483647 | -2147483648 | ! 2147483648",
        "{\"type\":\"integer\",\"minimum\":0,\"exclusiveMinimum\":true} | 1 | ! 0",
        "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1} | 1 | 1.0 | 0.5 | 0.000001 | !"
            + " 0 | ! 0.0 | ! 1.01 | ! -1",
        "{\"type\":\"number\",\"multipleOf\":0.05} | 0.05 | 1.1 | 3 | -0.35 | ! 0.07 | ! 0.001",
        "{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":10} | 14 | 7007 | ! 7 | ! 15",
        "{\"type\":\"integer\",\"multipleOf\":3600} | 0 | 3600 | 86400 | -7200 | ! 360 | ! 3601",
        "{\"type\":\"integer\",\"multipleOf\":1000003,\"minimum\":0,\"maximum\":9000000} | 0 |"
            + " 1000003 | 8000024 | ! 1000004",
        "{\"allOf\":[{\"multipleOf\":4},{\"multipleOf\":6}],\"type\":\"integer\"} | 12 | 24 | ! 4 |"
            + " ! 6 | ! 8",
        "{\"type\":\"number\",\"not\":{\"const\":1.5},\"minimum\":1,\"maximum\":2} | 1 | 1.25 | 1.6"
            + " | ! 1.5 | ! 1.50",
        // Together
        "{\"type\":[\"integer\",\"null\"],\"items\":{\"type\":\"string\"}} | null | 5 | ! []",
        "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"maximum\":3} | null | 3 | ! 4",
        "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]} | 1 | \"a\" | ! null",
        "{\"oneOf\":[{\"maximum\":5},{\"minimum\":3}],\"type\":\"integer\"} | 2 | -7 | 6 | ! 3 | !"
            + " 4 | ! 5",
        "{\"oneOf\":[{\"type\":\"integer\",\"maximum\":5},{\"type\":\"integer\",\"minimum\":3}]} |"
            + " 2 | 6 | ! 4",
        // Told apart by constants, which have to be written then
        "{\"oneOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/b\"}],\"$defs\":{"
            + "\"a\":{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"n\":{}},\"additionalProperties\":false},"
            + "\"b\":{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"additionalProperties\":false}}}"
            + " | {\"k\":\"a\",\"n\":1} | {\"k\":\"b\"} | ! {} | ! {\"k\":\"b\",\"n\":1}",
        "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\"} |"
            + " {\"a\":1} | {\"b\":1,\"c\":2} | ! {} | ! {\"a\":1,\"b\":1}",
        "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}}},{\"properties\":{\"a\":{\"minimum\":3},\"b\":true}}],\"type\":\"object\"}"
            + " | {} | {\"a\":3} | {\"b\":1} | ! {\"a\":2} | ! {\"a\":\"x\"}",
        "{\"if\":{\"properties\":{\"k\":{\"const\":1}}},\"then\":{\"required\":[\"a\"]},\"else\":{\"required\":[\"b\"]},\"type\":\"object\"}"
            + " | {\"a\":1} | {\"k\":1,\"a\":1} | {\"k\":2,\"b\":1} | ! {\"k\":1,\"b\":1} | !"
            + " {\"k\":2,\"a\":1}",
        "{\"$ref\":\"#/$defs/a~1b%25\",\"$defs\":{\"a/b%\":{\"$ref\":\"#x\"},\"c\":{\"$anchor\":\"x\",\"const\":1}}}"
            + " | 1 | ! 2",
        "{\"$id\":\"https://example.com/root\",\"$ref\":\"part\",\"$defs\":{\"p\":{\"$id\":\"part\",\"$ref\":\"#/$defs/q\",\"$defs\":{\"q\":{\"const\":1}}},\"q\":{\"const\":2}}}"
            + " | 1 | ! 2",
        "{\"$ref\":\"#/definitions/n\",\"definitions\":{\"n\":{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/definitions/n\"}},\"additionalProperties\":false}}}"
            + " | {} | {\"n\":{\"n\":{}}} | ! {\"m\":1}"
      })
  void holdsToASchema(String example) {
    String[] parts = example.split(" \\| ");
    Term term = term(parts[0]);
    assertThat(term.live()).isTrue();
    for (int i = 1; i < parts.length; i++) {
      boolean wrong = parts[i].startsWith("! ");
      String text = wrong ? parts[i].substring(2) : parts[i];
      assertThat(Walk.accepts(term, text)).as(text).isEqualTo(!wrong);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '#',
      value = {
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\"}} | /uniqueItems",
        "{\"properties\":{\"a/b\":{\"type\":\"array\",\"uniqueItems\":true}}} |"
            + " /properties/a~1b/uniqueItems",
        "{\"type\":\"array\",\"contains\":{\"const\":1},\"minItems\":100} | /contains",
        "{\"type\":\"array\",\"allOf\":[{\"contains\":{\"const\":1}},{\"contains\":{\"const\":2}}]}"
            + " | /allOf/1/contains",
        "{\"type\":\"object\",\"minProperties\":2} | /minProperties",
        "{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"} | /pattern",
        "{\"items\":{\"pattern\":\"(?:a(?!b))*\"}} | /items/pattern",
        "{\"type\":\"object\",\"patternProperties\":{\"(?<=a)b\":{}}} | /patternProperties/(?<=a)b",
        "{\"type\":\"string\",\"format\":\"regex\"} | /format",
        "{\"$ref\":\"other.json\"} | /$ref",
        "{\"$ref\":\"https://example.com/schema\"} | /$ref",
        "{\"items\":{\"$ref\":\"#/$defs/none\"}} | /items/$ref",
        "{\"$dynamicRef\":\"#a\"} | /$dynamicRef",
        "{\"not\":{\"multipleOf\":3},\"type\":\"integer\"} | /not/multipleOf",
        "{\"not\":{\"type\":\"object\",\"additionalProperties\":false}} |"
            + " /not/additionalProperties",
        "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]} | /oneOf",
        "{\"oneOf\":[{\"propertyNames\":{\"maxLength\":1}},{\"required\":[\"a\"]}],\"type\":\"object\"}"
            + " | /oneOf",
        "{\"if\":{\"patternProperties\":{\"a\":{\"const\":1}}},\"then\":{\"required\":[\"b\"]},\"type\":\"object\"}"
            + " | /if/patternProperties",
        "{\"allOf\":[{\"properties\":{\"a\":{}}}],\"unevaluatedProperties\":false} |"
            + " /unevaluatedProperties",
        "{\"type\":\"array\",\"contains\":{\"const\":1},\"unevaluatedItems\":false} |"
            + " /unevaluatedItems",
        "{\"type\":\"integer\",\"multipleOf\":1000003} | /multipleOf",
        "{\"type\":\"number\",\"multipleOf\":0} | /multipleOf",
        "{\"type\":\"strnig\"} | /type",
        "{\"type\":\"string\",\"minLength\":-1} | /minLength",
        "{\"type\":\"string\",\"minLength\":\"1\"} | /minLength",
        "{\"required\":\"a\"} | /required",
        "{\"properties\":{\"a\":5}} | /properties/a",
        "{\"anyOf\":[]} | /anyOf",
        "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"type\":\"null\"}]}}}"
            + " | /$defs/a",
        "{\"minimum\":1e999999} | /minimum"
      })
  void refusesWhatCannotBeHonouredByKeywordAndPlace(String schema, String place) {
    assertThatThrownBy(() -> term(schema))
        .isInstanceOfSatisfying(
            ConstraintException.class, e -> assertThat(e.place()).isEqualTo(place));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "5", "{\"a\":1} x", "{'a':1}", "{\"const\":\"\\ud83d\"}"})
  void refusesWhatIsNoSchema(String schema) {
    assertThatThrownBy(() -> term(schema)).isInstanceOf(ConstraintException.class);
  }

  @Test
  void refusesMoreAlternativesThanCanBeCountedOut() {
    String choice =
        IntStream.range(0, 12)
            .mapToObj("{\"properties\":{\"a\":{\"minimum\":%d}}}"::formatted)
            .collect(Collectors.joining(",", "{\"anyOf\":[", "]}"));
    String schema =
        IntStream.range(0, 6)
            .mapToObj(_ -> choice)
            .collect(Collectors.joining(",", "{\"allOf\":[", "]}"));

    assertThatThrownBy(() -> term(schema))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining("alternatives");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "false",
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":1}",
        "{\"type\":\"string\",\"pattern\":\"^a{3}$\",\"maxLength\":2}",
        "{\"type\":\"integer\",\"minimum\":1.1,\"maximum\":1.9}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        "{\"type\":\"object\",\"properties\":{\"a\":false},\"required\":[\"a\"]}",
        "{\"allOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}",
        "{\"enum\":[1,2],\"not\":{\"minimum\":0}}"
      })
  void hasNoTextWhereASchemaContradictsItself(String schema) {
    assertThat(term(schema).live()).isFalse();
  }

  @Test
  void severalSchemasOfOneConstraintStayApart() {
    Terms terms = new Terms();
    Term numbers =
        JsonSchemas.term(terms, "{\"items\":{\"$ref\":\"#\"},\"type\":[\"array\",\"integer\"]}");
    Term texts =
        JsonSchemas.term(terms, "{\"items\":{\"$ref\":\"#\"},\"type\":[\"array\",\"string\"]}");

    assertThat(Walk.accepts(numbers, "[[1],2]")).isTrue();
    assertThat(Walk.accepts(texts, "[[\"a\"],\"b\"]")).isTrue();
    assertThat(Walk.accepts(texts, "[[1],2]")).isFalse();
  }

  @Test
  void numbersBetweenBoundsAreThoseThatAreCounted() {
    Random random = new Random(3);
    for (int i = 0; i < 60; i++) {
      BigDecimal low = BigDecimal.valueOf(random.nextInt(400) - 200, random.nextInt(3));
      BigDecimal high = low.add(BigDecimal.valueOf(random.nextInt(300), random.nextInt(3)));
      NumberSet set =
          NumberSet.ALL.atLeast(low, random.nextBoolean()).atMost(high, random.nextBoolean());
      if (random.nextBoolean()) {
        set = set.multiples(BigDecimal.valueOf(1 + random.nextInt(12), random.nextInt(3)));
      }
      if (random.nextInt(3) == 0) {
        set = set.without(BigDecimal.valueOf(random.nextInt(100) - 50));
      }
      Term term = new NumberText(new Terms()).of(set);
      for (int hundredths = -30_000; hundredths < 60_000; hundredths += 1 + random.nextInt(40)) {
        BigDecimal value = BigDecimal.valueOf(hundredths, 2);
        String text = hundredths == 0 ? "0" : value.stripTrailingZeros().toPlainString();
        assertThat(Walk.accepts(term, text)).as("%s in %s", text, set).isEqualTo(set.has(value));
      }
      assertThat(term.live()).as("%s", set).isEqualTo(!set.isEmpty());
    }
  }

  @Test
  void aNumberNeverGrowsBeyondBounds() {
    Random random = new Random(5);
    for (String schema :
        new String[] {
          "{\"type\":\"number\"}",
          "{\"type\":\"integer\"}",
          "{\"type\":\"number\",\"minimum\":0}",
          "{\"type\":\"integer\",\"multipleOf\":5,\"maximum\":0}"
        }) {
      Term term = term(schema);
      for (int i = 0; i < 50; i++) {
        assertThat(Walk.through(term, random).orElseThrow()).hasSizeLessThan(40);
      }
    }
  }
}
