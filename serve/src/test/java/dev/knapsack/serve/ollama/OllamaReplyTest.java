package dev.knapsack.serve.ollama;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import dev.knapsack.Generation;
import dev.knapsack.Knapsack;
import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.LogitsException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.TestServer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Replies to events that the embedded model does not bring about. */
class OllamaReplyTest {
  private static final Usage USAGE = new Usage(10, 4, 7, 0.5, 0.25, 0, 0);

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

  private static JsonElement undated(JsonElement line) {
    assertThat(line.getAsJsonObject().remove("created_at").getAsString())
        .matches("\\d{4}-\\d\\d-\\d\\dT.*Z");
    return line;
  }

  @Test
  void writesThoughtsAndCallsInLines() {
    Reply reply = reply(Reply.Form.MESSAGE);
    List.of(
            new Event.Reasoning("Hm."),
            Event.Token.of(1),
            new Event.Text("Look:"),
            new Event.Call(new Part.ToolCall("call_0", "f", "{\"x\":1}")),
            new Event.Call(new Part.ToolCall("call_1", "g", "{}")),
            USAGE,
            new Event.End(FinishReason.END_TOKEN))
        .forEach(reply::next);
    assertThat(lines.stream().map(OllamaReplyTest::undated))
        .containsExactly(
            json(
                "{'model': 'n', 'message': {'role': 'assistant', 'content': '', 'thinking': 'Hm.'}, 'done': false}"),
            json(
                "{'model': 'n', 'message': {'role': 'assistant', 'content': 'Look:'}, 'done': false}"),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': '', 'tool_calls': [
                  {'id': 'call_0', 'function': {'index': 0, 'name': 'f', 'arguments': {'x': 1}}}]},
                 'done': false}"""),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': '', 'tool_calls': [
                  {'id': 'call_1', 'function': {'index': 1, 'name': 'g', 'arguments': {}}}]},
                 'done': false}"""),
            json(
                """
                {'model': 'n', 'message': {'role': 'assistant', 'content': ''},
                 'done': true, 'done_reason': 'stop',
                 'total_duration': 2000000000, 'prompt_eval_count': 10,
                 'prompt_eval_duration': 500000000, 'eval_count': 7, 'eval_duration': 250000000}"""));
  }

  @Test
  void writesThemAsAWhole() {
    JsonElement whole =
        reply(Reply.Form.MESSAGE)
            .whole(
                new Generation.Result(
                    new Message(
                        Role.ASSISTANT,
                        List.of(
                            new Part.Reasoning("Hm."),
                            new Part.Text("Look:"),
                            new Part.ToolCall("call_0", "f", "{\"x\":1}"))),
                    List.of(),
                    USAGE,
                    FinishReason.MAX_TOKENS));
    assertThat(TestServer.at(whole, "message"))
        .isEqualTo(
            json(
                """
                {'role': 'assistant', 'content': 'Look:', 'thinking': 'Hm.', 'tool_calls': [
                  {'id': 'call_0', 'function': {'index': 0, 'name': 'f', 'arguments': {'x': 1}}}]}"""));
    assertThat(TestServer.at(whole, "done_reason").getAsString()).isEqualTo("length");
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
    Reply reply = reply(Reply.Form.MESSAGE);
    reply.next(new Event.Failure(new LogitsException(KnapsackException.Kind.REQUEST, "No token can be chosen.")));
    assertThat(lines).containsExactly(json("{'error': 'No token can be chosen.'}"));
  }
}
