package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers that are held to a form, and calls that must be made, in each API. */
class ConstraintsTest {
  private static final String SCHEMA =
      "{'type': 'object', 'properties': {'place': {'enum': ['library', 'kitchen']}, 'sure':"
          + " {'type': 'boolean'}}, 'required': ['place', 'sure'], 'additionalProperties': false}";

  private static final String WILD =
      "'temperature': 2, 'top_k': 0, 'top_p': 1, 'min_p': 0, 'seed': 7";
  private static final String MESSAGES =
      "'messages': [{'role': 'user', 'content': 'Where is the ring?'}]";

  @TempDir static Path folder;
  private static TestServer server;

  @BeforeAll
  static void open() {
    server =
        new TestServer(
            TestServer.calling(folder.resolve("calling.gguf")),
            UnaryOperator.identity(),
            UnaryOperator.identity());
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static void isOfTheForm(String text) {
    JsonObject said = JsonParser.parseString(text).getAsJsonObject();
    assertThat(said.get("place").getAsString()).isIn("library", "kitchen");
    assertThat(said.get("sure").getAsJsonPrimitive().isBoolean()).isTrue();
    assertThat(said.size()).isEqualTo(2);
  }

  private static TestServer.Answer ok(String path, String body) {
    TestServer.Answer answer = server.post(path, body);
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    return answer;
  }

  @Test
  void schemasAreKeptInEveryApi() {
    String chat = "{%s, %s, %s}";
    for (String form :
        List.of(
            "'response_format': {'type': 'json_schema', 'json_schema': {'name': 'x', 'strict':"
                + " true, 'schema': %s}}",
            "'json_schema': %s", "'guided_json': %s", "'structured_outputs': {'json': %s}")) {
      isOfTheForm(
          ok("/v1/chat/completions", chat.formatted(MESSAGES, WILD, form.formatted(SCHEMA)))
              .text("choices.0.message.content"));
    }
    isOfTheForm(
        ok(
                "/v1/responses",
                "{'input': 'Where?', %s, 'text': {'format': {'type': 'json_schema', 'name': 'x', 'schema': %s}}}"
                    .formatted(WILD, SCHEMA))
            .text("output.0.content.0.text"));
    isOfTheForm(
        ok(
                "/v1/messages",
                "{'max_tokens': 200, %s, %s, 'output_config': {'format': {'type': 'json_schema', 'schema': %s}}}"
                    .formatted(MESSAGES, WILD, SCHEMA))
            .text("content.0.text"));
    isOfTheForm(
        ok(
                "/api/chat",
                "{%s, 'stream': false, 'options': {%s}, 'format': %s}"
                    .formatted(MESSAGES, WILD, SCHEMA))
            .text("message.content"));
    StringBuilder streamed = new StringBuilder();
    ok(
            "/v1/completions",
            "{'prompt': 'Where', 'max_tokens': 200, 'stream': true, %s, 'json_schema': %s}"
                .formatted(WILD, SCHEMA))
        .events()
        .forEach(e ->
            e.getAsJsonArray("choices")
                .forEach(c -> streamed.append(TestServer.at(c, "text").getAsString())));
    isOfTheForm(streamed.toString());
  }

  @Test
  void otherFormsAreKept() {
    assertThat(
            ok(
                    "/v1/completions",
                    "{'prompt': 'Go', %s, 'guided_regex': '[0-9]{3}-[a-f]{2}'}".formatted(WILD))
                .text("choices.0.text"))
        .matches("[0-9]{3}-[a-f]{2}");
    assertThat(
            ok(
                    "/v1/completions",
                    "{'prompt': 'Go', %s, 'guided_choice': ['yes', 'no']}".formatted(WILD))
                .text("choices.0.text"))
        .isIn("yes", "no");
    assertThat(
            ok(
                    "/v1/chat/completions",
                    "{%s, %s, 'grammar': 'root ::= [a-c]{4} | [0-9]{5}'}".formatted(MESSAGES, WILD))
                .text("choices.0.message.content"))
        .matches("[a-c]{4}|[0-9]{5}");
    assertThat(
            JsonParser.parseString(
                    ok(
                            "/v1/chat/completions",
                            "{%s, 'temperature': 0, 'max_tokens': 400, 'response_format': {'type': 'json_object'}}"
                                .formatted(MESSAGES))
                        .text("choices.0.message.content"))
                .isJsonObject())
        .isTrue();
  }

  @Test
  void whatCannotBeKeptIsRefusedByItsName() {
    TestServer.Answer unknown =
        server.post(
            "/v1/chat/completions",
            "{%s, 'json_schema': {'type': 'array', 'items': {'type': 'string'}, 'uniqueItems': true}}"
                .formatted(MESSAGES));
    assertThat(unknown.status()).isEqualTo(400);
    assertThat(unknown.text("error.message")).contains("uniqueItems");
    for (String two :
        List.of(
            "'guided_regex': 'a', 'grammar': 'root ::= [a]'",
            "'response_format': {'type': 'xml'}")) {
      assertThat(server.post("/v1/chat/completions", "{%s, %s}".formatted(MESSAGES, two)).status())
          .isEqualTo(400);
    }
  }

  @Test
  void callsThatMustBeMadeAreMadeInEveryApi() {
    String function = "'name': 'find', 'parameters': %s".formatted(SCHEMA);
    String tools = "'tools': [{'type': 'function', 'function': {%s}}]".formatted(function);
    for (String choice :
        List.of("'required'", "{'type': 'function', 'function': {'name': 'find'}}")) {
      TestServer.Answer chat =
          ok(
              "/v1/chat/completions",
              "{%s, %s, %s, 'tool_choice': %s, 'parallel_tool_calls': false}"
                  .formatted(MESSAGES, WILD, tools, choice));
      assertThat(chat.text("choices.0.finish_reason")).isEqualTo("tool_calls");
      assertThat(chat.text("choices.0.message.tool_calls.0.function.name")).isEqualTo("find");
      isOfTheForm(chat.text("choices.0.message.tool_calls.0.function.arguments"));
    }
    List<JsonObject> chunks =
        ok(
                "/v1/chat/completions",
                "{%s, %s, %s, 'tool_choice': 'required', 'parallel_tool_calls': false, 'stream': true}"
                    .formatted(MESSAGES, WILD, tools))
            .events();
    StringBuilder arguments = new StringBuilder();
    int names = 0;
    int pieces = 0;
    for (JsonObject chunk : chunks) {
      if (!chunk.getAsJsonArray("choices").isEmpty()
          && TestServer.at(chunk, "choices.0.delta").getAsJsonObject().has("tool_calls")) {
        JsonObject call = TestServer.at(chunk, "choices.0.delta.tool_calls.0").getAsJsonObject();
        assertThat(call.get("index").getAsInt()).isZero();
        JsonObject of = call.getAsJsonObject("function");
        names += of.has("name") ? 1 : 0;
        pieces++;
        assertThat(call.has("id")).isEqualTo(of.has("name")).isEqualTo(pieces == 1);
        assertThat(of.get("arguments").getAsString().isEmpty()).isEqualTo(pieces == 1);
        arguments.append(of.get("arguments").getAsString());
      }
    }
    assertThat(names).isEqualTo(1);
    assertThat(pieces).isGreaterThan(5);
    JsonObject cut =
        ok(
                "/v1/chat/completions",
                "{%s, %s, %s, 'tool_choice': 'required', 'parallel_tool_calls': false, 'max_tokens': %d}"
                    .formatted(
                        MESSAGES,
                        WILD,
                        tools,
                        TestServer.at(chunks.getLast(), "usage.completion_tokens").getAsInt() - 18))
            .at("choices.0")
            .getAsJsonObject();
    assertThat(cut.get("finish_reason").getAsString()).isEqualTo("length");
    assertThat(TestServer.at(cut, "message.tool_calls.0.function.arguments").getAsString())
        .startsWith("{")
        .doesNotEndWith("}");
    isOfTheForm(arguments.toString());
    TestServer.Answer response =
        ok(
            "/v1/responses",
            "{'input': 'Where?', %s, 'tools': [{'type': 'function', %s}], 'tool_choice': 'required', 'parallel_tool_calls': false}"
                .formatted(WILD, function));
    assertThat(response.text("output.0.type")).isEqualTo("function_call");
    isOfTheForm(response.text("output.0.arguments"));
    TestServer.Answer message =
        ok(
            "/v1/messages",
            "{'max_tokens': 300, %s, %s, 'tools': [{'name': 'find', 'input_schema': %s}], 'tool_choice': {'type': 'tool', 'name': 'find', 'disable_parallel_tool_use': true}}"
                .formatted(MESSAGES, WILD, SCHEMA));
    assertThat(message.text("stop_reason")).isEqualTo("tool_use");
    isOfTheForm(message.at("content.0.input").toString());
  }
}
