package dev.knapsack.text.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import dev.knapsack.TestData;
import dev.knapsack.generation.Event;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import dev.knapsack.text.ChatTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers are read back as the templates of their models wrote them. */
class AnswerFormTest {
  private static final Clock CLOCK = Clock.fixed(Instant.EPOCH, ZoneOffset.UTC);

  private static final List<Tool> TOOLS =
      List.of(
          new Tool(
              "get_weather",
              "Current weather of a place.",
              """
              {"type": "object", "required": ["city"], "properties": {
                "city": {"type": "string", "description": "The city's name."},
                "days": {"type": "integer", "description": "How many."},
                "detail": {"type": "boolean", "description": "Whether in detail."},
                "near": {"type": "object", "description": "Where about."},
                "hours": {"type": "array", "items": {"type": "number"}, "description": "Which."}}}
              """),
          new Tool("time", "The time.", "{\"type\": \"object\", \"properties\": {}}"));

  /** Values that other syntaxes would have to escape, or could take for their own marks. */
  private static final String HARD =
      "{\"city\": \"Å \\\"b\\\" \\\\ {[(<a> it's\\n</parameter> </tool_call>, 5\", \"days\": 3,"
          + " \"detail\": true, \"near\": {\"lat\": -1.5, \"of\": [null, \"x\"]}, \"hours\": [1,"
          + " 2.5]}";

  private static final String EASY = "{\"city\": \"Oslo\", \"days\": 3}";

  private static ChatTemplate template(String name) throws IOException {
    return ChatTemplate.of(Files.readString(TestData.path("templates").resolve(name)), CLOCK);
  }

  /** The parts of a text that comes in these pieces, and those of one kind together. */
  private static List<Part> read(AnswerForm form, String prompt, List<String> pieces) {
    return read(form, TOOLS, prompt, pieces);
  }

  private static List<Part> read(
      AnswerForm form, List<Tool> tools, String prompt, List<String> pieces) {
    PartList parts = new PartList();
    List<Event> events = events(form, tools, prompt, pieces);
    events.forEach(parts);
    checkCalls(events);
    return parts.parts();
  }

  private static List<Event> events(
      AnswerForm form, List<Tool> tools, String prompt, List<String> pieces) {
    List<Event> events = new ArrayList<>();
    AnswerReader reader = form.reader(tools, prompt, 0);
    pieces.forEach(piece -> reader.next(piece, events::add));
    reader.finish(events::add);
    return events;
  }

  /** Each call begins, its pieces are its arguments, and it ends before anything else comes. */
  private static void checkCalls(List<Event> events) {
    Event.CallBegins begun = null;
    StringBuilder arguments = new StringBuilder();
    int index = 0;
    for (Event event : events) {
      switch (event) {
        case Event.CallBegins begins -> {
          assertThat(begun).isNull();
          assertThat(begins.index()).isEqualTo(index++);
          begun = begins;
        }
        case Event.Arguments(int of, String piece) -> {
          assertThat(of).isEqualTo(index - 1);
          assertThat(piece).isNotEmpty();
          arguments.append(piece);
        }
        case Event.Call(int of, Part.ToolCall call) -> {
          assertThat(begun).isEqualTo(new Event.CallBegins(of, call.id(), call.name()));
          assertThat(call.arguments()).isEqualTo(arguments.toString()).isNotEmpty();
          begun = null;
          arguments.setLength(0);
        }
        default -> assertThat(begun).isNull();
      }
    }
    assertThat(begun).isNull();
  }

  private static List<String> cut(String text, Random random) {
    List<String> pieces = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      int end = Math.min(text.length(), at + 1 + random.nextInt(12));
      pieces.add(text.substring(at, end));
      at = end;
    }
    return pieces;
  }

  /** The parts, which must be the same however the text is cut. */
  private static List<Part> readAnyway(AnswerForm form, String prompt, String text) {
    List<Part> whole = read(form, prompt, List.of(text));
    for (int at = 1; at < text.length(); at++) {
      assertThat(read(form, prompt, List.of(text.substring(0, at), text.substring(at))))
          .as("cut at %d", at)
          .isEqualTo(whole);
    }
    assertThat(read(form, prompt, text.chars().mapToObj(Character::toString).toList()))
        .isEqualTo(whole);
    Random random = new Random(5);
    for (int i = 0; i < 20; i++) {
      assertThat(read(form, prompt, cut(text, random))).isEqualTo(whole);
    }
    return whole;
  }

  private static List<Part> comparable(List<Part> parts, boolean sorted) {
    return parts.stream()
        .map(part ->
            part instanceof Part.ToolCall(String _, String name, String arguments)
                ? new Part.ToolCall(
                    "", name, sorted ? String.valueOf(sorted(arguments)) : arguments)
                : part)
        .toList();
  }

  private static Object sorted(String json) {
    return new TreeMap<>(JsonParser.parseString(json).getAsJsonObject().asMap());
  }

  /**
   * What a template writes of the assistant's last message: what stands between the prompt that
   * asks for it, without the mark of an answer that begins, and the end.
   */
  private static String answer(ChatTemplate template, Conversation asked, Message answer) {
    String before = render(template, asked, false);
    String after = render(template, asked.withMessage(answer), false);
    assertThat(after).startsWith(before);
    return after.substring(before.length());
  }

  private static String render(ChatTemplate template, Conversation conversation, boolean prompt) {
    ChatTemplate.Input input = ChatTemplate.Input.of(conversation, "<s>", "</s>");
    ChatTemplate.Input given =
        new ChatTemplate.Input(
            input.messages(), input.tools(), "<s>", "</s>", prompt, input.variables());
    return template.render(template.fit(given).conversation()).text();
  }

  private static final Message QUESTION = Message.user("Weather in Oslo?");

  private static void roundTrip(
      String name, String begin, String end, boolean text, boolean thought, Part.ToolCall... calls)
      throws IOException {
    ChatTemplate template = template(name);
    List<Part> parts = new ArrayList<>();
    if (thought) {
      parts.add(new Part.Reasoning("First, where?\n\nThen <b>when</b>."));
    }
    if (text) {
      parts.add(new Part.Text("I look it up."));
    }
    parts.addAll(List.of(calls));
    Conversation asked = Conversation.of(QUESTION).withTools(TOOLS);
    String written = answer(template, asked, new Message(Role.ASSISTANT, parts));
    int from = written.indexOf(begin);
    int to = written.lastIndexOf(end);
    assertThat(from).as(written).isNotNegative();
    assertThat(to).as(written).isPositive();
    // The prompt ends with the line break.
    String said = written.substring(from + begin.length(), to).replaceFirst("^\n", "");
    List<Part> read = readAnyway(AnswerForm.of(template.source()), "", said);
    assertThat(comparable(read, true)).as(said).isEqualTo(comparable(parts, true));
    assertThat(
            read.stream()
                .filter(Part.ToolCall.class::isInstance)
                .map(p -> ((Part.ToolCall) p).id()))
        .doesNotHaveDuplicates();
  }

  private static Part.ToolCall call(String name, String arguments) {
    return new Part.ToolCall("call00001", name, arguments);
  }

  /**
   * @param text whether the template writes text beside a call
   * @param thought whether it writes reasoning before one
   * @param several whether it writes more than one call in a message
   */
  @ParameterizedTest
  @CsvSource({
    "Qwen-Qwen2.5-7B-Instruct, <|im_start|>assistant, <|im_end|>, true, false, true",
    "Qwen-Qwen3-0.6B, <|im_start|>assistant, <|im_end|>, true, true, true",
    "Qwen3-Coder, <|im_start|>assistant, <|im_end|>, true, false, true",
    "Qwen3.5-4B, <|im_start|>assistant, <|im_end|>, true, true, true",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use, <|im_start|>assistant, <|im_end|>, false, false,"
        + " true",
    "GLM-4.6, <|assistant|>, '', true, true, true",
    "deepseek-ai-DeepSeek-V3.1, </think>, <｜end▁of▁sentence｜>, true, false, true",
    "meta-llama-Llama-3.2-3B-Instruct, <|end_header_id|>, <|eot_id|>, false, false, false",
    "mistralai-Mistral-Nemo-Instruct-2407, '', </s>, false, false, true",
    "unsloth-mistral-Devstral-Small-2507, '', </s>, true, false, true",
    "openai-gpt-oss-120b, <|start|>assistant, '', false, true, false",
    "google-gemma-4-31B-it, <|turn>model, <|tool_response>, false, true, true",
  })
  void whatATemplateWritesIsReadBack(
      String name, String begin, String end, boolean text, boolean thought, boolean several)
      throws IOException {
    for (String arguments : List.of(EASY, "{}", HARD)) {
      roundTrip(name + ".jinja", begin, end, false, false, call("get_weather", arguments));
    }
    if (text) {
      roundTrip(name + ".jinja", begin, end, true, false, call("get_weather", EASY));
    }
    if (thought) {
      roundTrip(name + ".jinja", begin, end, false, true, call("get_weather", EASY));
    }
    if (several) {
      roundTrip(
          name + ".jinja",
          begin,
          end,
          text,
          false,
          call("get_weather", HARD),
          new Part.ToolCall("call00002", "time", "{}"));
    }
  }

  private static AnswerForm form(String name) throws IOException {
    return AnswerForm.of(template(name + ".jinja").source());
  }

  private static Part text(String text) {
    return new Part.Text(text);
  }

  private static Part.ToolCall called(int number, String name, String arguments) {
    return new Part.ToolCall("call_" + number, name, arguments);
  }

  @Test
  void formsThatTemplatesDoNotWrite() throws IOException {
    assertThat(
            readAnyway(
                form("ibm-granite-granite-3.3-2B-Instruct"),
                "",
                "<think>Hm.</think><|tool_call|>[{\"name\": \"time\", \"arguments\": {}}]"))
        .containsExactly(new Part.Reasoning("Hm."), called(0, "time", "{}"));
    assertThat(
            readAnyway(
                form("LFM2-8B-A1B"),
                "",
                "<|tool_call_start|>[get_weather(city=\"O'slo\", hours=[1, 2], detail=True),"
                    + " time()]<|tool_call_end|>Checking."))
        .containsExactly(
            called(0, "get_weather", "{\"city\":\"O'slo\",\"hours\":[1,2],\"detail\":true}"),
            called(1, "time", "{}"),
            text("Checking."));
    AnswerForm llama = form("meta-llama-Llama-3.2-3B-Instruct");
    assertThat(
            readAnyway(llama, "", "{\"name\": \"time\", \"parameters\": {}}; {\"name\": \"time\"}"))
        .containsExactly(called(0, "time", "{}"), called(1, "time", "{}"));
    assertThat(readAnyway(llama, "", "<|python_tag|>get_weather.call(city=\"Oslo\")"))
        .containsExactly(called(0, "get_weather", "{\"city\":\"Oslo\"}"));
    assertThat(
            readAnyway(
                form("deepseek-ai-DeepSeek-V3.1"),
                "",
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>time\n```json\n{}\n```"
                    + "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"))
        .containsExactly(called(0, "time", "{}"));
    assertThat(
            readAnyway(
                form("unsloth-mistral-Devstral-Small-2507"),
                "",
                "[TOOL_CALLS]time[CALL_ID]abcdefghi[ARGS]{}"))
        .containsExactly(new Part.ToolCall("abcdefghi", "time", "{}"));
    assertThat(
            readAnyway(
                form("CohereForAI-c4ai-command-r-plus-tool_use"),
                "",
                "I will look.\nAction:\n```json\n[\n    {\n        \"tool_name\": \"time\",\n"
                    + "        \"parameters\": {}\n    }\n]```"))
        .containsExactly(text("I will look."), called(0, "time", "{}"));
  }

  @Test
  void messagesOfHarmony() throws IOException {
    AnswerForm form = form("openai-gpt-oss-120b");
    assertThat(
            readAnyway(
                form,
                "",
                "<|channel|>analysis<|message|>Hm"
                    + " <b>.<|end|><|start|>assistant<|channel|>commentary<|message|>Let me"
                    + " see.<|end|><|start|>assistant<|channel|>commentary to=functions.time"
                    + " <|constrain|>json<|message|>{}<|call|>"))
        .containsExactly(
            new Part.Reasoning("Hm <b>."), text("Let me see."), called(0, "time", "{}"));
    assertThat(
            readAnyway(
                form,
                "",
                "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>It"
                    + " is 5.\n\n"
                    + "Really. <|return|>"))
        .containsExactly(new Part.Reasoning("Hm."), text("It is 5.\n\nReally. "));
    assertThat(readAnyway(form, "", "Just text, <|end|> of it"))
        .containsExactly(text("Just text, \n\n of it"));
    assertThat(readAnyway(form, "", " to=functions.time<|channel|>commentary json<|message|>{oops"))
        .containsExactly(text(" to=functions.time<|channel|>commentary json<|message|>{oops"));
  }

  /** A prompt that ends within reasoning, and one that has closed it. */
  @Test
  void reasoningMayBeginInThePrompt() throws IOException {
    AnswerForm form = form("Qwen3.5-4B");
    assertThat(readAnyway(form, "<|im_start|>assistant\n<think>\n", "So.\n</think>\n\nFour."))
        .containsExactly(new Part.Reasoning("So."), text("Four."));
    assertThat(readAnyway(form, "assistant\n<think>\n\n</think>\n\n", "Four. A <think> is a tag."))
        .containsExactly(text("Four. A <think> is a tag."));
    assertThat(readAnyway(form, "assistant\n<think>\n", "never ends"))
        .containsExactly(new Part.Reasoning("never ends"));
    assertThat(readAnyway(form, "", "<think>\n\n</think>\n\nFour.")).containsExactly(text("Four."));
  }

  /** A call is told of before it has ended, where its family writes arguments as JSON. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "Qwen-Qwen2.5-7B-Instruct; <tool_call>\\n{\"name\": \"get_weather\", \"arguments\": ;"
            + " }\\n</tool_call>",
        "Qwen-Qwen3-0.6B; <tool_call>{\"id\": \"x\", \"name\": \"get_weather\", \"arguments\":; }",
        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use; <tool_call>[{\"name\": \"get_weather\","
            + " \"arguments\": ; }]</tool_call>",
        "meta-llama-Llama-3.2-3B-Instruct; {\"name\": \"get_weather\", \"parameters\": ; }",
        "meta-llama-Llama-3.2-3B-Instruct; {\"type\": \"function\", \"function\": {\"name\":"
            + " \"get_weather\", \"parameters\": ; }}",
        "meta-llama-Llama-3.2-3B-Instruct; <|python_tag|>{\"name\": \"get_weather\","
            + " \"parameters\": ; }",
        "mistralai-Mistral-Nemo-Instruct-2407; [TOOL_CALLS][{\"name\": \"get_weather\","
            + " \"arguments\": ; , \"id\": \"abcdefghi\"}]",
        "unsloth-mistral-Devstral-Small-2507; [TOOL_CALLS]get_weather[ARGS]; ``",
        "deepseek-ai-DeepSeek-V3.1; <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>;"
            + " <｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "deepseek-ai-DeepSeek-V3.1;"
            + " <｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\\n```json\\n;"
            + " \\n```<｜tool▁call▁end｜>",
        "ibm-granite-granite-3.3-2B-Instruct; <|tool_call|>[{\"name\": \"get_weather\","
            + " \"arguments\": ; }]",
        "CohereForAI-c4ai-command-r-plus-tool_use; Action:\\n```json\\n[{\"tool_name\":"
            + " \"get_weather\", \"parameters\": ; }]```",
        "openai-gpt-oss-120b; <|channel|>commentary to=functions.get_weather"
            + " <|constrain|>json<|message|>; <|call|>",
      })
  void argumentsComeInPieces(String name, String before, String after) throws IOException {
    AnswerForm form = form(name);
    String head = before.replace("\\n", "\n");
    String said = head + HARD + (after == null ? "" : after.replace("\\n", "\n"));
    List<Event> events =
        events(form, TOOLS, "", said.chars().mapToObj(Character::toString).toList());
    checkCalls(events);
    assertThat(events).filteredOn(Event.Arguments.class::isInstance).hasSizeGreaterThan(100);
    List<Part> parts = readAnyway(form, "", said);
    assertThat(parts).hasSize(1);
    assertThat(((Part.ToolCall) parts.getFirst()).arguments()).isEqualTo(HARD);

    // The call has begun as soon as its first key has.
    int begun = head.length() + 2;
    assertThat(events(form, TOOLS, "", List.of(said.substring(0, begun))))
        .contains(new Event.Arguments(0, "{\""));
    // It ends where the answer does, whatever is there.
    for (int end = begun; end < head.length() + HARD.length(); end++) {
      assertThat(comparable(read(form, "", List.of(said.substring(0, end))), false))
          .containsExactly(
              new Part.ToolCall("", "get_weather", said.substring(head.length(), end)));
    }
    // A tool that is none of those that there are is not begun.
    assertThat(
            events(form, TOOLS, "", List.of(said.substring(0, begun).replace("weather", "wether"))))
        .noneMatch(Event.CallBegins.class::isInstance);
  }

  /** Arguments that go on as no JSON does stay arguments, to the mark behind them. */
  @Test
  void whatIsWrongInArgumentsIsPartOfThem() throws IOException {
    String begin = "<tool_call>{\"name\": \"time\", \"arguments\": ";
    assertThat(readAnyway(form("Qwen-Qwen3-0.6B"), "", begin + "{\"a\" 5}}</tool_call> So."))
        .containsExactly(called(0, "time", "{\"a\" 5}}"), text("So."));
    // A brace that is missing behind them, as some models write.
    assertThat(
            readAnyway(
                form("Qwen-Qwen3-0.6B"),
                "",
                begin + "{\"a\": 5}\n</tool_call>\n" + begin + "{}}\n</tool_call>"))
        .containsExactly(called(0, "time", "{\"a\": 5}"), called(1, "time", "{}"));
    // What is no call behind one is text, and so is what would be one of no tool here.
    assertThat(readAnyway(form("Qwen-Qwen3-0.6B"), "", begin + "{}} and more</tool_call>"))
        .containsExactly(called(0, "time", "{}"), text("and more</tool_call>"));
    assertThat(
            readAnyway(
                form("ibm-granite-granite-3.3-2B-Instruct"),
                "",
                "<|tool_call|>[{\"name\": \"other\"}, {\"name\": \"time\", \"arguments\": {}},"
                    + " {\"a\": 1}]"))
        .containsExactly(called(0, "other", "{}"), called(1, "time", "{}"), text("{\"a\": 1}]"));
    assertThat(
            readAnyway(
                form("ibm-granite-granite-3.3-2B-Instruct"),
                "",
                "<|tool_call|>[{\"a\": 1}, {\"name\": \"time\", \"arguments\": {}}]"))
        .containsExactly(
            text("<|tool_call|>[{\"a\": 1}, {\"name\": \"time\", \"arguments\": {}}]"));
  }

  /** What is no call is text, to the last character. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "<tool_call>",
        "<tool_call>{",
        "The tag <tool_call> opens a call.",
        "<tool_call>{\"name\": \"time\", }</tool_call>",
        "<tool_call>{\"name\": 5}</tool_call> and more\n",
        "<tool_call>[]</tool_call>",
        "<tool_call><function=time>\nstray</function></tool_call>",
        "<tool_call>\n<function=time>\n<parameter=a>\n5\n</function>\n</tool_call>",
        "<tool_call>two words</tool_call>",
        "<tool_call>{\"name\": \"time\", \"arguments\": \"x\"}</tool_call>",
        "<tool_call>{\"name\": \"time\"} but more</tool_call>",
        "  spaces before, and a < at the end <",
        "<tool_cal",
        "</tool_call>",
      })
  void whatIsNoCallIsText(String said) throws IOException {
    for (String name : List.of("Qwen3-Coder", "Qwen-Qwen3-0.6B", "GLM-4.6")) {
      assertThat(readAnyway(form(name), "", said)).as(name).containsExactly(text(said));
    }
  }

  @Test
  void aCallBehindABrokenOneIsRead() throws IOException {
    assertThat(
            readAnyway(
                form("Qwen-Qwen3-0.6B"),
                "",
                "<tool_call>{\"a\" \"}</tool_call>\n<tool_call>{\"name\": \"time\"}</tool_call>"))
        .containsExactly(text("<tool_call>{\"a\" \"}</tool_call>"), called(0, "time", "{}"));
    assertThat(
            readAnyway(
                form("meta-llama-Llama-3.2-3B-Instruct"), "", "{\"name\": \"other\", \"a\": 1}"))
        .containsExactly(text("{\"name\": \"other\", \"a\": 1}"));
  }

  /** A call whose end the model left out, as some do. */
  @Test
  void aCallWithoutItsEndIsRead() throws IOException {
    assertThat(readAnyway(form("Qwen-Qwen3-0.6B"), "", "<tool_call>\n{\"name\": \"time\"}\n"))
        .containsExactly(called(0, "time", "{}"));
    assertThat(readAnyway(form("Qwen3-Coder"), "", "<tool_call>\n<function=time>\n</function>\n"))
        .containsExactly(called(0, "time", "{}"));
  }

  @Test
  void withoutToolsThereAreNoCalls() throws IOException {
    String said = "<tool_call>{\"name\": \"time\"}</tool_call>";
    assertThat(read(form("Qwen-Qwen3-0.6B"), List.of(), "", List.of(said)))
        .containsExactly(text(said));
    assertThat(form("Qwen-Qwen3-0.6B").tokens(List.of())).doesNotContain("<tool_call>");
  }

  @Test
  void valuesWithoutQuotesHaveTheKindThatTheToolAsksFor() throws IOException {
    String said =
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n5\n</parameter>\n"
            + "<parameter=days>\n5\n</parameter>\n<parameter=detail>\nTrue\n</parameter>\n"
            + "<parameter=other>\n[1]\n</parameter>\n<parameter=note>\nNone of it\n</parameter>\n"
            + "</function>\n</tool_call>";
    assertThat(readAnyway(form("Qwen3-Coder"), "", said))
        .containsExactly(
            called(
                0,
                "get_weather",
                "{\"city\":\"5\",\"days\":5,\"detail\":true,\"other\":[1],\"note\":\"None of"
                    + " it\"}"));
  }

  /** Whatever comes is read without an exception, and the same however it is cut. */
  @Test
  void anythingIsRead() throws IOException {
    List<String> words =
        List.of(
            "<tool_call>",
            "</tool_call>",
            "{",
            "}",
            "\"",
            "\\",
            "<function=time>",
            "</function>",
            "<think>",
            "</think>",
            "\n",
            " ",
            "time",
            "[TOOL_CALLS]",
            "[ARGS]",
            "<|channel|>",
            "<|message|>",
            "analysis",
            "to=functions.time",
            "<|end|>",
            "<|start|>assistant",
            "<|call|>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁sep｜>",
            "<｜tool▁call▁end｜>",
            "<|tool_call>",
            "call:time{",
            "<tool_call|>",
            "<|\"|>",
            "<|python_tag|>",
            "(",
            ")",
            "[",
            "]",
            "\"name\": \"time\"",
            "\"arguments\": {\"a\": 1",
            "{\"name\": \"time\", \"arguments\": {",
            "time[ARGS]{\"",
            ",");
    for (String name :
        List.of(
            "Qwen3-Coder",
            "openai-gpt-oss-120b",
            "deepseek-ai-DeepSeek-V3.1",
            "google-gemma-4-31B-it",
            "meta-llama-Llama-3.2-3B-Instruct",
            "unsloth-mistral-Devstral-Small-2507")) {
      AnswerForm form = form(name);
      for (int seed = 0; seed < 300; seed++) {
        Random random = new Random(seed);
        StringBuilder said = new StringBuilder();
        for (int i = random.nextInt(25); i >= 0; i--) {
          said.append(words.get(random.nextInt(words.size())));
        }
        String text = said.toString();
        List<Part> whole = read(form, "", List.of(text));
        for (int i = 0; i < 10; i++) {
          assertThat(read(form, "", cut(text, random))).as("%s, %d", name, seed).isEqualTo(whole);
        }
      }
    }
  }
}
