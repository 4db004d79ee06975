package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.TemplateException;
import dev.knapsack.text.ChatTemplate.Input;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Conversations as clients send them, written by templates in the ways of several families. */
class FittingTest {
  /** Templates of our own, each with the habit of a family. */
  enum Family {
    /** Calls as JSON in tags; content is joined, so null would be refused. */
    HERMES(
        """
        {%- for m in messages %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content }}
        {%- for c in m.tool_calls or [] %}
        {{- '<tool_call>' }}{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}
        {%- endfor %}{{- '<|im_end|>\\n' }}
        {%- endfor %}\
        """,
        """
        <|im_start|>user
        hi<|im_end|>
        <|im_start|>assistant
        <tool_call>{"name": "f", "arguments": {"a": 1.5, "b": ["x", null, {"c": true}]}}<|im_end|>
        <|im_start|>tool
        fine<|im_end|>
        """),

    /** A call stands in place of content; null would be written as a word if it stood alone. */
    LLAMA(
        """
        {%- for m in messages %}
        {{- '<|' ~ m.role ~ '|>' }}
        {%- if m.tool_calls %}
        {%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at once') }}{% endif %}
        {{- '{"name": "' + m.tool_calls[0].function.name + '", "parameters": ' }}
        {{- m.tool_calls[0].function.arguments | tojson }}{{ '}' }}
        {%- else %}{{ m.content }}{% endif %}
        {%- endfor %}\
        """,
        """
        <|user|>hi<|assistant|>{"name": "f", "parameters": \
        {"a": 1.5, "b": ["x", null, {"c": true}]}}<|tool|>fine\
        """),

    /** Identifiers must have nine letters and digits. */
    MISTRAL(
        """
        {%- for m in messages %}
        {%- if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}
        {%- elif m.tool_calls is defined and m.tool_calls is not none %}{{ '[TOOL_CALLS][' }}
        {%- for c in m.tool_calls %}
        {%- if c.id is not defined or c.id | length != 9 %}
        {{- raise_exception('ids have 9 characters') }}{% endif %}
        {{- c.function | tojson }}{{ c.id }}
        {%- endfor %}{{ ']' }}
        {%- elif m.role == 'tool' %}
        {%- if m.tool_call_id is not defined or m.tool_call_id | length != 9 %}
        {{- raise_exception('ids have 9 characters') }}{% endif %}
        {{- '[RESULT]' ~ m.content ~ m.tool_call_id }}
        {%- else %}{{ m.content }}{% endif %}
        {%- endfor %}\
        """,
        """
        [INST]hi[/INST][TOOL_CALLS][{"name": "f", "arguments": \
        {"a": 1.5, "b": ["x", null, {"c": true}]}}ID][RESULT]fineID\
        """),

    /** Looks for null itself, and joins arguments as text. */
    FUNCTIONARY(
        """
        {%- for m in messages %}
        {%- if m.content is not none %}{{ '<' + m.role + '>all|' + m.content }}{% endif %}
        {%- for c in m.tool_calls or [] %}
        {{- '<' + m.role + '>' + c.function.name + '|' + c.function.arguments }}
        {%- endfor %}
        {%- endfor %}\
        """,
        """
        <user>all|hi<assistant>f|{"a":1.5,"b":["x",null,{"c":true}]}<tool>all|fine\
        """),

    /** Writes arguments as they print, which is JSON for a text alone. */
    PRINTED(
        """
        {%- for m in messages %}{{ m.role }}:{{ m.content or '' }}
        {%- for c in m.tool_calls or [] %} {{ c.function.name }} {{ c.function.arguments }}
        {%- endfor %};{% endfor %}\
        """,
        """
        user:hi;assistant: f {"a":1.5,"b":["x",null,{"c":true}]};tool:fine;\
        """),

    /** Goes over the arguments by name. */
    QWEN(
        """
        {%- for m in messages %}{{ '<' + m.role + '>' }}
        {%- if m.content is string %}{{ m.content }}{% endif %}
        {%- for c in m.tool_calls or [] %}{% set c = c.function if c.function else c %}
        {%- for name, value in c.arguments | items %}
        {{- '<parameter=' + name + '>' ~ (value if value is string else value | tojson) }}
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}\
        """,
        """
        <user>hi<assistant><parameter=a>1.5<parameter=b>["x", null, {"c": true}]<tool>fine\
        """),

    /** Takes both forms of arguments. */
    BOTH(
        """
        {%- for m in messages %}{{ m.content }}
        {%- for c in m.tool_calls or [] %}
        {%- if c.function.arguments is string %}{{ c.function.arguments }}
        {%- else %}{{ c.function.arguments | tojson }}{% endif %}
        {%- endfor %}{{ ';' }}
        {%- endfor %}\
        """,
        """
        hi;{"a": 1.5, "b": ["x", null, {"c": true}]};fine;\
        """);

    final ChatTemplate template;
    final String expected;

    Family(String source, String expected) {
      this.template = ChatTemplate.of(source);
      this.expected = expected;
    }
  }

  private static final String JSON = "{\"a\":1.5,\"b\":[\"x\",null,{\"c\":true}]}";

  private static Map<String, @Nullable Object> object() {
    List<@Nullable Object> list = new ArrayList<>(List.of("x"));
    list.add(null);
    list.add(Map.of("c", true));
    Map<String, @Nullable Object> object = new LinkedHashMap<>();
    object.put("a", 1.5);
    object.put("b", list);
    return object;
  }

  private static Map<String, Object> call(@Nullable String id, Object arguments) {
    Map<String, Object> call = new LinkedHashMap<>();
    if (id != null) {
      call.put("id", id);
    }
    call.put("type", "function");
    call.put("function", function(arguments));
    return call;
  }

  private static Map<String, Object> function(Object arguments) {
    Map<String, Object> function = new LinkedHashMap<>();
    function.put("name", "f");
    function.put("arguments", arguments);
    return function;
  }

  private static TemplateMessage calls(@Nullable String content, List<Map<String, Object>> calls) {
    return new TemplateMessage("assistant", content, Map.of("tool_calls", calls));
  }

  private static TemplateMessage result(@Nullable String id, String content) {
    return new TemplateMessage("tool", content, id == null ? Map.of() : Map.of("tool_call_id", id));
  }

  private static Input conversation(List<TemplateMessage> messages) {
    return new Input(messages, null, "", "", true, Map.of());
  }

  private static String written(ChatTemplate template, List<TemplateMessage> messages) {
    return template.render(template.fit(conversation(messages)).conversation()).text();
  }

  @ParameterizedTest
  @EnumSource
  void aCallAsClientsSendItIsWrittenAsTheFamilyExpects(Family family) {
    List<String> forms = new ArrayList<>();
    for (Object arguments : List.of(JSON, object())) {
      List<TemplateMessage> messages =
          List.of(
              TemplateMessage.user("hi"),
              calls(null, List.of(call("call_1", arguments))),
              result("call_1", "fine"));
      String text = written(family.template, messages);
      forms.add(
          family == Family.MISTRAL ? text.replaceAll("[a-zA-Z0-9]{9}(?=]\\[R|$)", "ID") : text);
    }
    assertThat(forms).containsExactly(family.expected, family.expected);
  }

  /** Templates of public models: null and JSON are written as no text and an object are. */
  @Test
  void publicTemplatesWriteCallsOfClientsAsTheirModelsSawThem() throws IOException {
    List<Map<String, Object>> tools =
        List.of(Map.of("type", "function", "function", Map.of("name", "f", "description", "d")));
    Clock clock = Clock.fixed(Instant.EPOCH, ZoneOffset.UTC);
    int written = 0;
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(TestData.path("templates"), "*.jinja")) {
      for (Path file : files) {
        ChatTemplate template = ChatTemplate.of(Files.readString(file), clock);
        for (List<Map<String, Object>> given : Arrays.asList(null, tools)) {
          Input seen = new Called("", object()).with(given);
          String expected;
          try {
            expected = template.render(seen).text();
          } catch (TemplateException _) {
            continue; // takes no calls, or none without tools
          }
          Input sent = template.fit(new Called(null, JSON).with(given)).conversation();
          assertThat(template.render(sent).text()).as(file.toString()).isEqualTo(expected);
          written++;
        }
      }
    }
    assertThat(written).isGreaterThan(30);
  }

  private record Called(@Nullable String content, Object arguments) {
    Input with(@Nullable List<Map<String, Object>> tools) {
      List<TemplateMessage> messages =
          List.of(
              TemplateMessage.user("hi"),
              calls(content, List.of(call("aB3456789", arguments))),
              new TemplateMessage(
                  "tool", "fine", Map.of("tool_call_id", "aB3456789", "name", "f")));
      return new Input(messages, tools, "<s>", "</s>", true, Map.of());
    }
  }

  @Test
  void identifiersThatATemplateRefusesAreReplacedAlikeInEveryTurn() {
    List<TemplateMessage> messages =
        new ArrayList<>(
            List.of(
                TemplateMessage.user("hi"),
                calls(
                    "", List.of(call("call_1", "{}"), call("call_2", ""), call("aB3456789", "{}"))),
                result("call_2", "two"),
                result("call_1", "one"),
                result("aB3456789", "three")));
    String text = written(Family.MISTRAL.template, messages);
    String json = "\\{\"name\": \"f\", \"arguments\": \\{}}";
    assertThat(text)
        .matches(
            "\\[INST]hi\\[/INST]\\[TOOL_CALLS]\\["
                + (json + "(?<one>\\w{9})" + json + "(?<two>\\w{9})" + json + "aB3456789]")
                + "\\[RESULT]two\\k<two>\\[RESULT]one\\k<one>\\[RESULT]threeaB3456789");
    assertThat(text).doesNotMatch(".*(\\w{9})\\{.*\\1\\{.*");
    messages.add(TemplateMessage.user("more"));
    messages.add(calls(null, List.of(call("call_3", "{}"))));
    assertThat(written(Family.MISTRAL.template, messages)).startsWith(text);
  }

  @Test
  void missingIdentifiersAreMadeWhereTheyAreAskedFor() {
    List<TemplateMessage> messages =
        List.of(
            TemplateMessage.user("hi"),
            calls("", List.of(call(null, "{}"), call(null, "{}"))),
            result(null, "one"),
            result(null, "two"));
    String json = "\\{\"name\": \"f\", \"arguments\": \\{}}";
    assertThat(written(Family.MISTRAL.template, messages))
        .matches(
            "\\[INST]hi\\[/INST]\\[TOOL_CALLS]\\["
                + (json + "(?<one>\\w{9})" + json + "(?<two>\\w{9})]")
                + "\\[RESULT]one\\k<one>\\[RESULT]two\\k<two>");
    ChatTemplate any =
        ChatTemplate.of(
            "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ 'call ' + c.id }}"
                + "{% endfor %}{% endfor %}");
    assertThat(written(any, messages)).isEqualTo("call call_0call call_1");
  }

  @Test
  void whatIsNoObjectOfJsonStaysText() {
    for (String arguments : List.of("{\"a\": ", "[1]", "{} {}", "{a: 1}")) {
      assertThat(
              written(
                  Family.BOTH.template,
                  List.of(TemplateMessage.user("hi"), calls("", List.of(call("1", arguments))))))
          .isEqualTo("hi;" + arguments + ";");
    }
  }

  @Test
  void resultsHaveTheNamesOfTheirToolsWhereTheTemplateWritesThem() {
    Map<String, Object> first = new LinkedHashMap<>(Map.of("name", "first", "arguments", "{}"));
    Map<String, Object> second = new LinkedHashMap<>(Map.of("name", "second", "arguments", "{}"));
    List<TemplateMessage> messages =
        List.of(
            TemplateMessage.user("hi"),
            calls(
                "",
                List.of(
                    Map.of("id", "1", "function", first), Map.of("id", "2", "function", second))),
            result("2", "two"),
            result("1", "one"),
            new TemplateMessage("tool", "own", Map.of("tool_call_id", "1", "name", "mine")));
    ChatTemplate joins =
        ChatTemplate.of(
            "{% for m in messages if m.role == 'tool' %}{{ m.name + ':' + m.content + ';' }}"
                + "{% endfor %}");
    assertThat(written(joins, messages)).isEqualTo("second:two;first:one;mine:own;");
    ChatTemplate optional =
        ChatTemplate.of(
            "{% for m in messages if m.role == 'tool' %}{{ 'named ' if m.name is defined }}"
                + "{{ m.content }};{% endfor %}");
    assertThat(written(optional, messages)).isEqualTo("two;one;named own;");
  }

  @Test
  void contentBesideCallsMayHaveToBeAList() {
    ChatTemplate looks =
        ChatTemplate.of(
            "{% for m in messages %}{% if m.tool_calls %}{{ m.content[0].thinking or 'none' }}{%"
                + " else %}{{ m.content if m.content is string else m.content[0].text }}{% endif"
                + " %};{% endfor %}");
    for (String content : new String[] {null, ""}) {
      List<TemplateMessage> messages =
          List.of(TemplateMessage.user("hi"), calls(content, List.of(call("1", JSON))));
      assertThat(written(looks, messages)).isEqualTo("hi;none;");
    }
  }

  @Test
  void callsWithoutArgumentsHaveNone() {
    Map<String, Object> none = new LinkedHashMap<>(Map.of("name", "f"));
    for (Object without : new Object[] {none, function("")}) {
      List<TemplateMessage> messages =
          List.of(
              TemplateMessage.user("hi"),
              calls(null, List.of(Map.of("id", "1", "function", without))));
      assertThat(written(Family.HERMES.template, messages)).contains("\"arguments\": {}}");
      assertThat(written(Family.FUNCTIONARY.template, messages)).endsWith("f|{}");
    }
  }

  @Test
  void noCallsAreNoCalls() {
    Map<String, @Nullable Object> none = new LinkedHashMap<>();
    none.put("tool_calls", null);
    for (Map<String, @Nullable Object> more :
        List.of(none, Map.<String, @Nullable Object>of("tool_calls", List.of()))) {
      List<TemplateMessage> messages =
          List.of(TemplateMessage.user("hi"), new TemplateMessage("assistant", "yes", more));
      ChatTemplate counts =
          ChatTemplate.of(
              "{% for m in messages %}{% if 'tool_calls' in m %}{{ m.tool_calls[0].function.name }}"
                  + "{% endif %}{{ m.content }};{% endfor %}");
      assertThat(written(counts, messages)).isEqualTo("hi;yes;");
    }
  }

  @Test
  void callsWithoutAFunctionAroundThem() {
    Map<String, Object> flat = function(JSON);
    assertThat(
            written(
                Family.QWEN.template,
                List.of(
                    TemplateMessage.user("hi"), calls(null, List.of(flat)), result(null, "fine"))))
        .isEqualTo(Family.QWEN.expected);
  }

  @Test
  void contentsThatAreNullOrParts() {
    TemplateMessage none = new TemplateMessage("user", null, Map.of());
    TemplateMessage parts =
        new TemplateMessage(
            "user",
            List.of(Map.of("type", "text", "text", "one"), Map.of("type", "text", "text", "two")),
            Map.of());
    List<TemplateMessage> messages = List.of(none, parts, TemplateMessage.assistant("three"));
    ChatTemplate texts = ChatTemplate.of("{% for m in messages %}[{{ m.content }}]{% endfor %}");
    assertThat(written(texts, messages)).isEqualTo("[][one\ntwo][three]");
    ChatTemplate lists =
        ChatTemplate.of(
            "{% for m in messages %}[{% for p in m.content %}<{{ p.text }}>{% endfor %}]{% endfor"
                + " %}");
    assertThat(written(lists, messages)).isEqualTo("[<>][<one><two>][<three>]");
    ChatTemplate both =
        ChatTemplate.of(
            "{% for m in messages %}[{% if m.content is string %}{{ m.content }}{% else %}"
                + "{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endif %}]{% endfor %}");
    assertThat(written(both, messages)).isEqualTo("[][<one><two>][three]");
    ChatTemplate json =
        ChatTemplate.of("{% for m in messages %}{{ m.content | tojson }}{% endfor %}");
    assertThat(written(json, messages)).isEqualTo("\"\"\"one\\ntwo\"\"three\"");
    TemplateMessage image =
        new TemplateMessage("user", List.of(Map.of("type", "image_url")), Map.of());
    assertThatThrownBy(() -> texts.fit(conversation(List.of(image))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'image_url'");
  }

  private static final String TURNS =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
  private static final List<TemplateMessage> SYSTEM =
      List.of(
          TemplateMessage.system("Be brief."),
          TemplateMessage.user("hi"),
          TemplateMessage.assistant("yes"));
  private static final List<TemplateMessage> LATER =
      List.of(
          TemplateMessage.system("A."),
          TemplateMessage.user("hi"),
          TemplateMessage.assistant("yes"),
          TemplateMessage.system("B."),
          TemplateMessage.user("more"));

  @Test
  void aSystemMessageThatIsRefusedGoesBeforeTheUsersAndTheNotesSaySo() {
    ChatTemplate refuses =
        ChatTemplate.of(
            "{% for m in messages if m.role == 'system' %}{{ raise_exception('No system') }}"
                + "{% endfor %}"
                + TURNS);
    ChatTemplate drops =
        ChatTemplate.of(
            "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}"
                + "{% endfor %}");
    for (ChatTemplate template : List.of(refuses, drops)) {
      assertThat(written(template, SYSTEM)).isEqualTo("<user>Be brief.\n\nhi<assistant>yes");
      assertThat(template.fit(conversation(SYSTEM)).notes())
          .containsExactly(
              "The model's chat template takes no system message; its text goes before the user's"
                  + " message.");
      assertThat(written(template, LATER))
          .isEqualTo("<user>A.\n\nhi<assistant>yes<user>B.\n\nmore");
      assertThat(written(template, List.of(TemplateMessage.system("Alone."))))
          .isEqualTo("<user>Alone.");
      assertThat(written(template, List.of(TemplateMessage.system(""), TemplateMessage.user("hi"))))
          .isEqualTo("<user>hi");
    }
  }

  @Test
  void aSystemMessageThatIsTakenStays() {
    ChatTemplate all = ChatTemplate.of(TURNS);
    ChatTemplate first =
        ChatTemplate.of(
            "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
                + "{{ raise_exception('System first') }}{% endif %}{% endfor %}"
                + TURNS);
    for (ChatTemplate template : List.of(all, first)) {
      assertThat(template.fit(conversation(SYSTEM)))
          .isEqualTo(new ChatTemplate.Fitted(conversation(SYSTEM), List.of()));
    }
    assertThat(written(all, LATER))
        .isEqualTo("<system>A.<user>hi<assistant>yes<system>B.<user>more");
    assertThat(written(first, LATER)).isEqualTo("<system>A.<user>hi<assistant>yes<user>B.\n\nmore");
    assertThat(first.fit(conversation(LATER)).notes())
        .singleElement()
        .asString()
        .contains("at the beginning alone");
    TemplateMessage developer = new TemplateMessage("developer", "Be brief.", Map.of());
    ChatTemplate known =
        ChatTemplate.of(
            "{% for m in messages %}{% if m.role not in ['system', 'user'] %}"
                + "{{ raise_exception('Unknown role') }}{% endif %}{% endfor %}"
                + TURNS);
    assertThat(written(known, List.of(developer, TemplateMessage.user("hi"))))
        .isEqualTo("<system>Be brief.<user>hi");
  }

  @Test
  void whatATemplateRefusesInAnyFormIsLeftToIt() {
    ChatTemplate none = ChatTemplate.of("{{ raise_exception('Never') }}");
    List<TemplateMessage> messages = new ArrayList<>(SYSTEM);
    messages.add(calls("", List.of(call("call_1", JSON))));
    assertThat(none.fit(conversation(messages)))
        .isEqualTo(new ChatTemplate.Fitted(conversation(messages), List.of()));
  }
}
