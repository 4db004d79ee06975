package dev.knapsack.serve.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import dev.knapsack.Knapsack;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.memory.Budget;
import dev.knapsack.serve.Rehearsal;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.TestServer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Replies to events that the embedded model does not bring about. */
class AnthropicReplyTest {
  private static Knapsack model;
  private final List<String> events = new ArrayList<>();

  @BeforeAll
  static void open() {
    model = Knapsack.open(TestServer.MODEL, Budget.of("1GiB"));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private Reply reply(boolean oneCall) {
    return new Reply(
        new ServedModel("notes", model),
        oneCall,
        Optional::empty,
        (name, data) -> events.add(name + " " + data));
  }

  private static String written(String json) {
    return json.replace('\'', '"');
  }

  @Test
  void streamsThoughtsTextAndCallsAsBlocksWithoutGaps() {
    Rehearsal.EVENTS.forEach(reply(false)::next);
    assertThat(events)
        .containsExactlyElementsOf(
            """
            content_block_start {'type':'content_block_start','index':0,'content_block':{'type':'thinking','thinking':'','signature':''}}
            content_block_delta {'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':'Hm.'}}
            content_block_delta {'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':' So.'}}
            content_block_delta {'type':'content_block_delta','index':0,'delta':{'type':'signature_delta','signature':'knapsack'}}
            content_block_stop {'type':'content_block_stop','index':0}
            content_block_start {'type':'content_block_start','index':1,'content_block':{'type':'text','text':''}}
            content_block_delta {'type':'content_block_delta','index':1,'delta':{'type':'text_delta','text':'Let me'}}
            content_block_delta {'type':'content_block_delta','index':1,'delta':{'type':'text_delta','text':' look.'}}
            content_block_stop {'type':'content_block_stop','index':1}
            content_block_start {'type':'content_block_start','index':2,'content_block':{'type':'tool_use','id':'call_0','name':'f','input':{}}}
            content_block_delta {'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta','partial_json':'{\\"x\\"'}}
            content_block_delta {'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta','partial_json':':1}'}}
            content_block_stop {'type':'content_block_stop','index':2}
            content_block_start {'type':'content_block_start','index':3,'content_block':{'type':'tool_use','id':'call_1','name':'g','input':{}}}
            content_block_delta {'type':'content_block_delta','index':3,'delta':{'type':'input_json_delta','partial_json':'{}'}}
            content_block_stop {'type':'content_block_stop','index':3}
            message_delta {'type':'message_delta','delta':{'stop_reason':'tool_use','stop_sequence':null},'usage':{'input_tokens':6,'cache_creation_input_tokens':0,'cache_read_input_tokens':4,'output_tokens':7}}
            message_stop {'type':'message_stop'}
            """
                .lines()
                .map(AnthropicReplyTest::written)
                .toList());
  }

  @Test
  void writesTheSameBlocksAsAWhole() {
    JsonElement whole = reply(false).whole(Rehearsal.RESULT);
    assertThat(TestServer.at(whole, "content"))
        .isEqualTo(
            JsonParser.parseString(
                """
                [{'type': 'thinking', 'thinking': 'Hm. So.', 'signature': 'knapsack'},
                 {'type': 'text', 'text': 'Let me look.'},
                 {'type': 'tool_use', 'id': 'call_0', 'name': 'f', 'input': {'x': 1}},
                 {'type': 'tool_use', 'id': 'call_1', 'name': 'g', 'input': {}}]\
                """));
    assertThat(TestServer.at(whole, "stop_reason").getAsString()).isEqualTo("tool_use");
  }

  @Test
  void leavesOutWhatComesAfterACallThatIsToBeTheOnlyOne() {
    Rehearsal.EVENTS.forEach(reply(true)::next);
    assertThat(events).filteredOn(e -> e.startsWith("content_block_start")).hasSize(3);
    assertThat(events).noneMatch(e -> e.contains("call_1"));
  }

  @Test
  void endsAStreamWithAnErrorThatHasItsForm() {
    Rehearsal.BROKEN.forEach(reply(false)::next);
    assertThat(events.getLast())
        .isEqualTo(
            written(
                "error {'type':'error','error':{'type':'invalid_request_error','message':'No token"
                    + " can be chosen.'}}"));
  }

  @Test
  void saysNothingToThoseWhoHaveGone() {
    reply(false).next(new Event.End(FinishReason.CANCELLED));
    assertThat(events).isEmpty();
  }
}
