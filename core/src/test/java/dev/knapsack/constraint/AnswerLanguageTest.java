package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.TestData;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.Part;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.text.answer.AnswerForm;
import dev.knapsack.text.answer.AnswerReader;
import dev.knapsack.text.answer.PartList;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What an answer may be is read back as what it is to be. */
class AnswerLanguageTest {
  private static final List<Tool> TOOLS =
      List.of(
          new Tool(
              "get_weather",
              "Current weather of a place.",
              """
              {"type": "object", "required": ["city"], "additionalProperties": false, "properties": {
                "city": {"type": "string", "description": "The city's name."},
                "days": {"type": "integer"}, "detail": {"type": "boolean"}}}
              """,
              true),
          new Tool(
              "time",
              "The time.",
              "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}",
              true));

  private static AnswerForm form(String name) throws IOException {
    return AnswerForm.of(Files.readString(TestData.path("templates/" + name + ".jinja")));
  }

  private static Language language(
      AnswerForm form,
      Optional<Constraint> constraint,
      ToolChoice choice,
      boolean parallel,
      String prompt) {
    return AnswerLanguage.of(
            constraint,
            new AnswerLanguage.Calling(TOOLS, choice, parallel),
            form.outline(TOOLS, prompt),
            _ -> -1)
        .orElseThrow();
  }

  private static boolean matches(Language language, String text) {
    return Masks.derived(language.root, text.getBytes(StandardCharsets.UTF_8), 0).nullable();
  }

  private static List<Part> read(AnswerForm form, String prompt, String text) {
    PartList parts = new PartList();
    AnswerReader reader = form.reader(TOOLS, prompt, 0);
    reader.next(text, parts);
    reader.finish(parts);
    return parts.parts();
  }

  /** Some text of a language: any way at first, then the shortest to an end. */
  private static String text(Language language, Random random) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Term term = language.root;
    int wild = random.nextInt(80);
    for (int i = 0; i < wild; i++) {
      Term from = term;
      List<ByteSet> ways =
          language.terms.alike(term).stream().filter(s -> from.derive(s.first()).live()).toList();
      if (ways.isEmpty()) {
        break;
      }
      int next = ways.get(random.nextInt(ways.size())).first();
      text.write(next);
      term = term.derive(next);
    }
    for (int next : end(language.terms, term)) {
      text.write(next);
    }
    return text.toString(StandardCharsets.UTF_8);
  }

  private record Way(Term term, Way before, int symbol) {}

  /** The shortest bytes to an end. */
  private static List<Integer> end(Terms terms, Term from) {
    Set<Term> seen = new HashSet<>(Set.of(from));
    Deque<Way> queue = new ArrayDeque<>(List.of(new Way(from, null, 0)));
    while (true) {
      Way way = queue.remove();
      if (way.term.nullable()) {
        LinkedList<Integer> bytes = new LinkedList<>();
        for (Way one = way; one.before != null; one = one.before) {
          bytes.addFirst(one.symbol);
        }
        return bytes;
      }
      for (ByteSet set : terms.alike(way.term)) {
        Term next = way.term.derive(set.first());
        if (next.live() && seen.add(next)) {
          queue.add(new Way(next, way, set.first()));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Qwen-Qwen2.5-7B-Instruct",
        "Qwen-Qwen3-0.6B",
        "Qwen3-Coder",
        "Qwen3.5-4B",
        "GLM-4.6",
        "deepseek-ai-DeepSeek-V3.1",
        "meta-llama-Llama-3.2-3B-Instruct",
        "mistralai-Mistral-Nemo-Instruct-2407",
        "unsloth-mistral-Devstral-Small-2507",
        "ibm-granite-granite-3.3-2B-Instruct",
        "LFM2-8B-A1B",
        "CohereForAI-c4ai-command-r-plus-tool_use",
        "openai-gpt-oss-120b",
        "google-gemma-4-31B-it"
      })
  void callsThatAreRequiredAreReadBack(String name) throws IOException {
    AnswerForm form = form(name);
    Random random = new Random(3);
    for (int i = 0; i < 12; i++) {
      boolean parallel = i % 2 == 0;
      ToolChoice choice = i % 3 == 0 ? new ToolChoice.Named("get_weather") : ToolChoice.REQUIRED;
      Language language = language(form, Optional.empty(), choice, parallel, "");
      String text = text(language, random);
      List<Part> parts = read(form, "", text);
      assertThat(parts).as(text).isNotEmpty();
      List<Part.ToolCall> calls = new ArrayList<>();
      for (Part part : parts) {
        switch (part) {
          case Part.ToolCall call -> calls.add(call);
          case Part.Reasoning _ -> {}
          // What harmony says beside a call is text.
          default -> assertThat(name).as(text).startsWith("openai");
        }
      }
      assertThat(calls).as(text).isNotEmpty();
      assertThat(parallel || calls.size() == 1).as(text).isTrue();
      for (Part.ToolCall call : calls) {
        JsonObject arguments = JsonParser.parseString(call.arguments()).getAsJsonObject();
        assertThat(call.name()).isIn("get_weather", "time");
        if (i % 3 == 0) {
          assertThat(call.name()).isEqualTo("get_weather");
        }
        if (call.name().equals("get_weather")) {
          assertThat(arguments.get("city").getAsJsonPrimitive().isString()).as(text).isTrue();
        } else {
          assertThat(arguments.isEmpty()).isTrue();
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "Qwen-Qwen3-0.6B, '<think>Hm {}.</think>\n\n{\"a\": 5}'",
    "Qwen-Qwen3-0.6B, '{\"a\": 5}'",
    "openai-gpt-oss-120b,"
        + " '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{\"a\":"
        + " 5}'",
  })
  void aConstraintHoldsBehindReasoning(String name, String text) throws IOException {
    Constraint a = new Constraint.Grammar("root ::= \"{\\\"a\\\": \" [0-9] \"}\"");
    Language language = language(form(name), Optional.of(a), ToolChoice.NONE, true, "");

    assertThat(matches(language, text)).isTrue();
    assertThat(matches(language, text + " ")).isFalse();
    assertThat(matches(language, text.replace("5", "x"))).isFalse();
    assertThat(read(form(name), "", text).getLast()).isEqualTo(new Part.Text("{\"a\": 5}"));
  }

  @Test
  void reasoningThatThePromptBeganMustEnd() throws IOException {
    AnswerForm form = form("Qwen3.5-4B");
    Constraint yes = new Constraint.Choice(List.of("yes", "no"));
    Language language =
        language(form, Optional.of(yes), ToolChoice.NONE, true, "<|im_start|>assistant\n<think>\n");

    assertThat(matches(language, "So.\n</think>\n\nyes")).isTrue();
    assertThat(matches(language, "</think>no")).isTrue();
    assertThat(matches(language, "yes")).isFalse();
    assertThat(matches(language, "So. yes</think>")).isFalse();
  }

  @Test
  void marksMayBeControlTokens() throws IOException {
    AnswerForm form = form("Qwen-Qwen3-0.6B");
    Language language =
        AnswerLanguage.of(
                Optional.of(new Constraint.Choice(List.of("yes"))),
                new AnswerLanguage.Calling(List.of(), ToolChoice.AUTO, true),
                form.outline(List.of(), "<think>"),
                text -> text.equals("</think>") ? 9 : -1)
            .orElseThrow();

    Term closed =
        Masks.derived(language.root, "Hm".getBytes(StandardCharsets.UTF_8), 0)
            .derive(Term.SPECIAL + 9);
    assertThat(Masks.derived(closed, "yes".getBytes(StandardCharsets.UTF_8), 0).nullable())
        .isTrue();
    assertThat(matches(language, "Hm</think>yes")).isFalse();
    assertThat(language.root.derive(Term.SPECIAL + 8).live()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"Qwen-Qwen2.5-7B-Instruct", "Qwen3-Coder", "meta-llama-Llama-3.2-3B-Instruct"})
  void strictToolsHoldCallsAndLeaveTextFree(String name) throws IOException {
    AnswerForm form = form(name);
    Language language = language(form, Optional.empty(), ToolChoice.AUTO, true, "");
    Random random = new Random(4);

    assertThat(matches(language, "Just <b>text</b>, 1 < 2.")).isTrue();
    assertThat(matches(language, "<tool_call>{\"name\": \"none\"}</tool_call>"))
        .isEqualTo(name.startsWith("meta"));
    assertThat(matches(language, "{\"name\": \"none\", \"parameters\": {}}"))
        .isNotEqualTo(name.startsWith("meta"));
    for (int i = 0; i < 15; i++) {
      String call = text(language(form, Optional.empty(), ToolChoice.REQUIRED, true, ""), random);
      assertThat(matches(language, call)).as(call).isTrue();
      if (!name.startsWith("meta")) {
        assertThat(matches(language, "I look it up.\n" + call)).isTrue();
      }
    }
  }

  @Test
  void whoAsksForTheSameHasTheSameTerms() throws IOException {
    Languages languages = new Languages(_ -> -1);
    Constraint yes = new Constraint.Choice(List.of("yes"));
    AnswerForm form = form("Qwen-Qwen3-0.6B");
    AnswerLanguage.Calling calling = new AnswerLanguage.Calling(TOOLS, ToolChoice.AUTO, true);

    assertThat(languages.of(yes)).isSameAs(languages.of(new Constraint.Choice(List.of("yes"))));
    assertThat(languages.of(Optional.of(yes), calling, form.outline(TOOLS, "")))
        .isEqualTo(languages.of(Optional.of(yes), calling, form.outline(TOOLS, "")))
        .isNotEqualTo(languages.of(Optional.of(yes), calling, form.outline(TOOLS, "<think>")));
    Language first = languages.of(yes);
    for (int i = 0; i < 8; i++) {
      languages.of(new Constraint.Choice(List.of("no " + i)));
    }
    assertThat(languages.of(yes)).isNotSameAs(first);
  }

  @Test
  void noCallsMeansNone() throws IOException {
    Language language =
        language(form("Qwen-Qwen3-0.6B"), Optional.empty(), ToolChoice.NONE, true, "");

    assertThat(matches(language, "It is <b>5</b>.")).isTrue();
    assertThat(
            matches(language, "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>"))
        .isFalse();
  }

  @Test
  void whatCannotBeHeldToIsRefused() throws IOException {
    AnswerForm none = form("microsoft-Phi-3.5-mini-instruct");
    assertThatThrownBy(() -> language(none, Optional.empty(), ToolChoice.REQUIRED, true, ""))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining("tool_choice: this model's template shows no form of calls");
    AnswerForm qwen = form("Qwen-Qwen3-0.6B");
    assertThatThrownBy(
            () -> language(qwen, Optional.empty(), new ToolChoice.Named("other"), true, ""))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining("'other' is none of the 2 tools");
    Tool pattern =
        new Tool(
            "find",
            "",
            "{\"properties\": {\"id\": {\"type\": \"string\", \"pattern\": \"^a\"}}}",
            true);
    AnswerForm coder = form("Qwen3-Coder");
    assertThatThrownBy(() ->
            AnswerLanguage.of(
                Optional.empty(),
                new AnswerLanguage.Calling(List.of(pattern), ToolChoice.AUTO, true),
                coder.outline(List.of(pattern), ""),
                _ -> -1))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining(
            "tool 'find': /properties/id: this model writes texts without quotes");
    assertThat(
            AnswerLanguage.of(
                Optional.empty(),
                new AnswerLanguage.Calling(
                    List.of(pattern.withStrict(false)), ToolChoice.AUTO, true),
                coder.outline(List.of(pattern), ""),
                _ -> -1))
        .isEmpty();
  }
}
