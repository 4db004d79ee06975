package dev.knapsack.serve.ollama;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import dev.knapsack.Knapsack;
import dev.knapsack.generation.Event;
import dev.knapsack.memory.Budget;
import dev.knapsack.serve.Rehearsal;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.TestServer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Replies to events that the embedded model does not bring about. */
class OllamaReplyTest {
  private static Knapsack model;
  private final List<JsonElement> lines = new ArrayList<>();

  @BeforeAll
  static void open() {
    model = Knapsack.open(TestServer.MODEL, Budget.of("1GiB"));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private Reply reply(Reply.Form form) {
    return new Reply(new ServedModel("notes", model), "n", form, () -> 2, lines::add);
  }

  private static JsonElement json(String text) {
    return JsonParser.parseString(text);
  }

  private static JsonElement piece(String message) {
    return json(
        "{'model': 'n', 'message': {'role': 'assistant', %s}, 'done': false}".formatted(message));
  }

  private static JsonElement undated(JsonElement line) {
    assertThat(line.getAsJsonObject().remove("created_at").getAsString())
        .matches("\\d{4}-\\d\\d-\\d\\dT.*Z");
    return line;
  }

  @Test
  void writesThoughtsAndCallsInLines() {
    Rehearsal.EVENTS.forEach(reply(Reply.Form.MESSAGE)::next);
    assertThat(lines.stream().map(OllamaReplyTest::undated))
        .containsExactly(
            piece("'content': '', 'thinking': 'Hm.'"),
            piece("'content': '', 'thinking': ' So.'"),
            piece("'content': 'Let me'"),
            piece("'content': ' look.'"),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': '', 'tool_calls': [
                  {'id': 'call_0', 'function': {'index': 0, 'name': 'f', 'arguments': {'x': 1}}}]},
                 'done': false}\
                """),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': '', 'tool_calls': [
                  {'id': 'call_1', 'function': {'index': 1, 'name': 'g', 'arguments': {}}}]},
                 'done': false}\
                """),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': ''},
                 'done': true, 'done_reason': 'stop',
                 'total_duration': 2000000000, 'prompt_eval_count': 10,
                 'prompt_eval_duration': 500000000, 'eval_count': 7, 'eval_duration': 250000000}\
                """));
  }

  @Test
  void writesThemAsAWhole() {
    JsonElement whole = reply(Reply.Form.MESSAGE).whole(Rehearsal.RESULT);
    assertThat(TestServer.at(whole, "message"))
        .isEqualTo(
            json(
                """
                {'role': 'assistant', 'content': 'Let me look.', 'thinking': 'Hm. So.', 'tool_calls': [
                  {'id': 'call_0', 'function': {'index': 0, 'name': 'f', 'arguments': {'x': 1}}},
                  {'id': 'call_1', 'function': {'index': 1, 'name': 'g', 'arguments': {}}}]}\
                """));
    assertThat(TestServer.at(whole, "done_reason").getAsString()).isEqualTo("stop");
  }

  @Test
  void writesTextsBesideTheirThoughts() {
    Reply reply = reply(Reply.Form.TEXT);
    reply.next(new Event.Reasoning("Hm."));
    assertThat(undated(lines.getLast()))
        .isEqualTo(json("{'model': 'n', 'response': '', 'thinking': 'Hm.', 'done': false}"));
  }

  @Test
  void endsLinesWithAnError() {
    Rehearsal.BROKEN.forEach(reply(Reply.Form.MESSAGE)::next);
    assertThat(lines.getLast()).isEqualTo(json("{'error': 'No token can be chosen.'}"));
  }
}
