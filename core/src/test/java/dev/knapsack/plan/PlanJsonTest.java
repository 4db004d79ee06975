package dev.knapsack.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.PlanFileException;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlanJsonTest {
  private static final Plan PLAN =
      new Plan(
          "a \"model\" — 1B",
          1L << 40,
          8192,
          2,
          new Plan.Cache(
              new KvFormat(Formats.F16, Formats.Q8_0, 64, KvTransform.ROTATED),
              Recipe.streaming(4, 1020),
              0),
          256,
          3,
          new Plan.Weights(List.of(1, 3, 5), true, 4096, -1),
          List.of(
              new Plan.Share("weights", 700_000_000, "13 of 16 layers"),
              new Plan.Share("kv", 12_345, "<8,192 tokens>")),
          List.of(
              new Plan.Choice(
                  "kv", "F16", List.of(new Plan.Alternative("Q8_0", 5, 12.5, "does not fit")))),
          new Plan.Prediction(100.125, 1e-3, 0.1, 512, 2.5e10));

  @Test
  void readsWhatItWrote() {
    assertThat(Plan.ofJson(PLAN.toJson())).isEqualTo(PLAN);
  }

  @Test
  void notesAreAlwaysThereAndMayBeMissing() {
    Plan noted = PLAN.withNotes(List.of("an \"id\" was replaced", "rows are masked"));
    assertThat(Plan.ofJson(noted.toJson())).isEqualTo(noted);
    assertThat(PLAN.toJson()).contains("\"notes\": []");
    String older = PLAN.toJson().replace(",\n  \"notes\": []", "");
    assertThat(older).doesNotContain("notes");
    assertThat(Plan.ofJson(older)).isEqualTo(PLAN);
    assertThatThrownBy(() -> Plan.ofJson(PLAN.toJson().replace("\"notes\": []", "\"notes\": [7]")))
        .isInstanceOf(PlanFileException.class)
        .hasMessageContaining("notes[]");
  }

  @Test
  void inOlderPlansTheEmbeddingIsWhereTheOutputIs() {
    String older = PLAN.toJson().replaceAll(",\\s+\"gathered\": false", "");
    assertThat(older).doesNotContain("gathered");
    assertThat(Plan.ofJson(older).weights()).isEqualTo(PLAN.weights().withGathered(true));
  }

  @Test
  void readsSketchedKeys() {
    String json = PLAN.toJson().replace("\"keyFormat\": \"F16\"", "\"keyFormat\": \"QJL:4\"");
    Plan read = Plan.ofJson(json);
    assertThat(read.cache().format().sketch()).isEqualTo(4);
    assertThat(read.toJson()).isEqualTo(json);
  }

  @Test
  void readsReorderedHeads() {
    String json =
        PLAN.toJson()
            .replace("\"rotated\": true", "\"rotated\": false")
            .replace("\"reordered\": false", "\"reordered\": true");
    Plan read = Plan.ofJson(json);
    assertThat(read.cache().format().transform()).isEqualTo(KvTransform.REORDERED);
    assertThat(read.toJson()).isEqualTo(json);
  }

  @Test
  void readsPlansFromBeforeThereWasAChoiceOfTheCache() {
    String json =
        PLAN.toJson()
            .replace("  \"recent\": 64,\n", "")
            .replaceAll("  \"(rotated|reordered)\": .*,\n", "")
            .replaceAll("  \"(recipe|resident)\": .*,\n", "")
            .replaceAll("(?s)  \"checkpoints\": \\{.*?\\},\n", "");
    assertThat(json)
        .doesNotContain("recent", "rotated", "reordered", "recipe", "resident", "checkpoints");
    Plan read = Plan.ofJson(json);
    assertThat(read.cache()).isEqualTo(Plan.Cache.of(KvFormat.parse("k=f16,v=q8_0")));
  }

  @Test
  void readsCheckpoints() {
    Plan.Cache cache = PLAN.cache().withCheckpoints(new Checkpoints(640, 9, Formats.Q8_0));
    String json =
        PLAN.toJson()
            .replace("\"distance\": 512", "\"distance\": 640")
            .replace("\"count\": 4", "\"count\": 9")
            .replace("\"format\": \"F32\"", "\"format\": \"Q8_0\"");
    assertThat(Plan.ofJson(json).cache()).isEqualTo(cache);
    assertThat(Plan.ofJson(json).toJson()).isEqualTo(json);
  }

  @Test
  void readsAPlanThatKeepsTokensOnDisk() {
    String json =
        PLAN.toJson()
            .replaceAll("\"recipe\": .*,", "\"recipe\": \"full\",")
            .replace("\"resident\": 0", "\"resident\": 4096");
    assertThat(Plan.ofJson(json).cache())
        .isEqualTo(new Plan.Cache(PLAN.cache().format(), KvPolicy.FULL, 4096));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"version\": 1|\"version\": 2|version",
        "\"context\": 8192|\"context\": 0|context",
        "\"context\": 8192|\"context\": 1e999999999|context",
        "\"context\": 8192|\"context\": 1.5|context",
        "\"context\": 8192|\"context\": \"many\"|context",
        "\"context\": 8192|\"kontext\": 8192|context",
        "\"workers\": 3|\"workers\": 99999999999|workers",
        "\"keyFormat\": \"F16\"|\"keyFormat\": \"F17\"|keyFormat",
        "\"keyFormat\": \"F16\"|\"keyFormat\": \"Q4_K\"|keyFormat",
        "\"keyFormat\": \"F16\"|\"keyFormat\": \"QJL:9\"|keyFormat",
        "\"valueFormat\": \"Q8_0\"|\"valueFormat\": \"QJL\"|valueFormat",
        "\"recent\": 64|\"recent\": -1|recent",
        "\"recent\": 64|\"recent\": 99999999999|recent",
        "\"score=streaming|\"score=magic|recipe",
        "\"resident\": 0|\"resident\": -1|resident",
        "\"resident\": 0|\"resident\": 64|resident",
        "\"recipe\": \"|\"recipe\": 5, \"x\": \"|recipe",
        "\"distance\": 512|\"distance\": 100|checkpoints.distance",
        "\"distance\": 512|\"distance\": 0|checkpoints.distance",
        "\"count\": 4|\"count\": -1|checkpoints.count",
        "\"format\": \"F32\"|\"format\": \"Q4_0\"|checkpoints.format",
        "\"checkpoints\": {|\"checkpoints\": 5, \"x\": {|checkpoints",
        "\"rotated\": true|\"rotated\": 1|rotated",
        "\"reordered\": false|\"reordered\": 1|reordered",
        "\"reordered\": false|\"reordered\": true|reordered",
        "\"streamBuffer\": 4096|\"streamBuffer\": -1|weights.streamBuffer",
        "\"gathered\": false|\"gathered\": 1|weights.gathered",
        "\"outputStreamed\": true|\"outputStreamed\": 1|weights.outputStreamed",
        "\"bytes\": 12345|\"bytes\": null|shares[].bytes",
        "\"name\": \"Q8_0\"|\"name\": []|choices[].alternatives[].name",
        "\"prediction\": {|\"prediction\": 5, \"x\": {|prediction",
      })
  void namesTheFieldThatIsWrong(String good, String bad, String field) {
    String json = PLAN.toJson();
    assertThat(json).contains(good);
    assertThatThrownBy(() -> Plan.ofJson(json.replace(good, bad)))
        .isInstanceOf(PlanFileException.class)
        .hasMessageContaining(field);
  }

  @Test
  void refusesWhatIsNoJsonObject() {
    for (String text : new String[] {"", "[]", "5", "{", "[".repeat(100_000)}) {
      assertThatThrownBy(() -> Plan.ofJson(text)).isInstanceOf(PlanFileException.class);
    }
  }

  @Test
  void survivesMutation() {
    String json = PLAN.toJson();
    SplittableRandom random = new SplittableRandom(7);
    int refused = 0;
    for (int i = 0; i < 3_000; i++) {
      StringBuilder text = new StringBuilder(json);
      for (int n = random.nextInt(1, 4); n > 0; n--) {
        int at = random.nextInt(text.length());
        switch (random.nextInt(3)) {
          case 0 -> text.setCharAt(at, "{}[],:\"0-9e.tn\\".charAt(random.nextInt(15)));
          case 1 -> text.deleteCharAt(at);
          default -> text.insert(at, (char) random.nextInt(32, 127));
        }
      }
      try {
        Plan.ofJson(text.toString());
      } catch (PlanFileException e) {
        refused++;
      }
    }
    assertThat(refused).isPositive();
  }

  @Test
  void theTableTellsEveryAccountChoiceAndFigure() {
    String table = PLAN.toString();
    assertThat(table)
        .contains("700,000,000", "668 MiB", "13 of 16 layers")
        .contains("* F16", "Q8_0", "12.5 tok/s", "does not fit")
        .contains("prefill 100.1 tok/s", "100 ms", "1.00 TiB");
    assertThat(table.lines()).allSatisfy(line -> assertThat(line).isEqualTo(line.stripTrailing()));
  }
}
