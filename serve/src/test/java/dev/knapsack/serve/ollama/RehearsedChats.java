package dev.knapsack.serve.ollama;

import dev.knapsack.generation.Event;
import dev.knapsack.serve.Rehearsal;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import java.util.List;

/** Gives the rehearsed answer to whatever is asked; the broken one to the model named so. */
public final class RehearsedChats {
  private RehearsedChats() {}

  public static void answer(Exchange exchange, ServedModel model) {
    Fields body = exchange.fields();
    Reply.Form form = Reply.Form.MESSAGE;
    if (!body.flag("stream", true)) {
      Reply reply = new Reply(model, model.name(), form, () -> 2, _ -> {});
      exchange.json(200, reply.whole(Rehearsal.RESULT));
      return;
    }
    List<Event> events =
        body.text("model", "").equals("broken") ? Rehearsal.BROKEN : Rehearsal.EVENTS;
    try (EventStream stream = exchange.lines()) {
      Reply reply = new Reply(model, model.name(), form, () -> 2, stream::line);
      events.forEach(reply::next);
    }
  }
}
