package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.ToNumberPolicy;
import com.google.gson.reflect.TypeToken;
import dev.knapsack.TestData;
import dev.knapsack.error.TemplateException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Chat templates of public models render what the reference implementation renders. */
class GoldenTemplatesTest {
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-11-26T12:00:00Z"), ZoneOffset.UTC);

  /** The reference was run with a clock that always says this, whatever the format asks for. */
  private static final String REFERENCE_DATE = "26 Nov 2026";

  /** What the formats in the templates give on that day. */
  private static final Map<String, String> DATES =
      Map.of("%d %b %Y", "26 Nov 2026", "%B %d, %Y", "November 26, 2026", "%Y-%m-%d", "2026-11-26");

  private static final Pattern SPECIAL =
      Pattern.compile(
          "<[|\uFF5C][^|\uFF5C<> ]+[|\uFF5C]>|\\[/?[A-Z_]{3,}\\]|<(start|end)_of_turn>|</?s>");

  private static final Gson GSON =
      new GsonBuilder().setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE).create();

  @Test
  void everyGoldenConversation() throws Exception {
    Path folder = TestData.path("templates");
    Map<String, ChatTemplate> templates = new LinkedHashMap<>();
    List<String> lines = Files.readAllLines(folder.resolve("golden.jsonl"));
    assertThat(lines).hasSizeGreaterThanOrEqualTo(228);
    for (String line : lines) {
      JsonObject golden = JsonParser.parseString(line).getAsJsonObject();
      String name = golden.get("template").getAsString();
      ChatTemplate template = templates.get(name);
      if (template == null) {
        template = ChatTemplate.of(Files.readString(folder.resolve(name)), CLOCK);
        templates.put(name, template);
      }
      check(
          golden, name + ", " + golden.get("case") + golden.get("add_generation_prompt"), template);
    }
  }

  private static void check(JsonObject golden, String name, ChatTemplate template) {
    ChatTemplate.Input conversation =
        new ChatTemplate.Input(
            messages(golden.getAsJsonArray("messages")),
            golden.get("tools").isJsonNull() ? null : maps(golden.getAsJsonArray("tools")),
            golden.get("bos_token").getAsString(),
            golden.get("eos_token").getAsString(),
            golden.get("add_generation_prompt").getAsBoolean(),
            Map.of());
    if (golden.has("error")) {
      assertThatThrownBy(() -> template.render(conversation))
          .as(name)
          .isInstanceOf(TemplateException.class)
          .hasMessage(golden.get("error").getAsString());
    } else {
      MarkedText text = template.render(conversation);
      assertThat(text.text())
          .as(name)
          .isEqualTo(dated(golden.get("expected").getAsString(), template.source()));
      // No conversation says what looks like a special token: all of them are the template's.
      SPECIAL
          .matcher(text.text())
          .results()
          .forEach(
              token -> assertThat(text.isControl(token.start(), token.end())).as(name).isTrue());
    }
  }

  private static String dated(String expected, String source) {
    for (Map.Entry<String, String> date : DATES.entrySet()) {
      if (source.contains("strftime_now('" + date.getKey())
          || source.contains("strftime_now(\"" + date.getKey())) {
        return expected.replace(REFERENCE_DATE, date.getValue());
      }
    }
    return expected;
  }

  private static List<TemplateMessage> messages(JsonArray messages) {
    List<TemplateMessage> result = new ArrayList<>();
    for (Map<String, Object> fields : maps(messages)) {
      Map<String, @Nullable Object> more = new LinkedHashMap<>(fields);
      more.remove("role");
      more.remove("content");
      result.add(new TemplateMessage((String) fields.get("role"), fields.get("content"), more));
    }
    return result;
  }

  private static List<Map<String, Object>> maps(JsonArray array) {
    return GSON.fromJson(array, new TypeToken<List<Map<String, Object>>>() {}.getType());
  }
}
