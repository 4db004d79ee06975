package dev.knapsack.serve.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.generation.Event;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResponseOutputTest {
  private static final List<Part.ToolCall> CALLS =
      List.of(
          new Part.ToolCall("c1", "weather", "{\"city\":\"Oslo\"}"),
          new Part.ToolCall("c2", "time", "{}"));

  private static final List<Event> SAID =
      List.of(
          new Event.Reasoning("It rains"),
          new Event.Reasoning("?"),
          new Event.Text("Let me "),
          new Event.Text("see."),
          new Event.CallBegins(0, "c1", "weather"),
          new Event.Arguments(0, "{\"city\":"),
          new Event.Arguments(0, "\"Oslo\"}"),
          new Event.Call(0, CALLS.getFirst()),
          new Event.CallBegins(1, "c2", "time"),
          new Event.Arguments(1, "{}"),
          new Event.Call(1, CALLS.getLast()));

  private final List<JsonObject> events = new ArrayList<>();

  private JsonArray write(boolean severalCalls) {
    ResponseOutput output =
        new ResponseOutput(
            severalCalls,
            (type, data) -> {
              data.addProperty("type", type);
              events.add(data);
            });
    SAID.forEach(output.blocks()::next);
    output.end("completed");
    return output.items();
  }

  @Test
  void tellsOfReasoningTextAndCalls() {
    JsonArray items = write(true);
    assertThat(events.stream().map(e -> e.get("type").getAsString().substring(9)))
        .containsExactly(
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done");
    assertThat(events.get(1).getAsJsonObject("part").get("type").getAsString())
        .isEqualTo("reasoning_text");
    List<JsonObject> done =
        events.stream().filter(e -> e.get("type").getAsString().endsWith("item.done")).toList();
    for (int i = 0; i < items.size(); i++) {
      assertThat(done.get(i).get("output_index").getAsInt()).isEqualTo(i);
      assertThat(done.get(i).get("item")).isEqualTo(items.get(i));
    }
    assertThat(items.get(2).getAsJsonObject().get("call_id").getAsString()).isEqualTo("c1");
  }

  @Test
  void readsItsItemsBackAsTheMessage() {
    assertThat(ItemsReader.messages(write(true)))
        .containsExactly(
            new Message(
                Role.ASSISTANT,
                List.of(
                    new Part.Reasoning("It rains?"),
                    new Part.Text("Let me see."),
                    CALLS.getFirst(),
                    CALLS.getLast())));
  }

  @Test
  void aCallThatWasCutIsIncomplete() {
    ResponseOutput output = new ResponseOutput(true, (_, _) -> {});
    output
        .blocks()
        .all(new Message(Role.ASSISTANT, List.of(new Part.ToolCall("c", "time", "{\"a\": "))));
    JsonObject item = output.items().get(0).getAsJsonObject();
    assertThat(item.get("status").getAsString()).isEqualTo("incomplete");
    assertThat(item.get("arguments").getAsString()).isEqualTo("{\"a\": ");
  }

  @Test
  void endsWithTheFirstCallWhereOnlyOneIsWanted() {
    assertThat(write(false)).hasSize(3);
  }

  @Test
  void keepsTheNewestThatHaveRoomAndGivesTheirBytesBack() {
    Budget budget = Budget.of("1MiB");
    JsonArray input = new JsonArray();
    JsonObject a = response("resp_a");
    JsonObject b = response("resp_b");
    long each = a.toString().length() + 2;
    try (ResponseStore store = new ResponseStore(budget, 2 * each)) {
      store.keep("ann", a, input);
      store.keep("ann", b, input);
      assertThat(budget.account("responses").used()).isEqualTo(2 * each);
      assertThat(store.find("ann", "resp_a").response()).isEqualTo(a);
      assertThatThrownBy(() -> store.find("bob", "resp_a")).isInstanceOf(Refusal.class);
      store.keep("ann", response("resp_c"), input);
      assertThatThrownBy(() -> store.find("ann", "resp_a")).isInstanceOf(Refusal.class);
      assertThat(store.find("ann", "resp_b").response()).isEqualTo(b);
      store.remove("ann", "resp_b");
      assertThat(budget.account("responses").used()).isEqualTo(each);
      // What others need is not taken from them.
      try (var rest = budget.account("other").reserve(budget.total() - budget.used())) {
        store.keep("ann", response("resp_d"), input);
        assertThat(store.find("ann", "resp_d").response()).isEqualTo(response("resp_d"));
        assertThat(budget.account("responses").used()).isEqualTo(each);
        assertThat(rest.bytes()).isPositive();
      }
    }
    assertThat(budget.used()).isZero();
  }

  private static JsonObject response(String id) {
    return Json.object("id", id);
  }
}
