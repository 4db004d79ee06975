package dev.knapsack.serve.anthropic;

import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.Rehearsal;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import java.util.List;
import java.util.Optional;

/** Gives the rehearsed answer to whatever is asked; the broken one to the instruction to break. */
public final class RehearsedMessages {
  private RehearsedMessages() {}

  public static void answer(Exchange exchange, ServedModel model) {
    Fields body = exchange.fields();
    boolean oneCall = MessageFields.oneCall(body);
    if (!body.flag("stream", false)) {
      Reply reply = new Reply(model, oneCall, Optional::empty, (_, _) -> {});
      exchange.json(200, reply.whole(Rehearsal.RESULT));
      return;
    }
    List<Event> events =
        body.text("system", "").equals("break") ? Rehearsal.BROKEN : Rehearsal.EVENTS;
    try (EventStream stream = exchange.events()) {
      Reply reply = new Reply(model, oneCall, Optional::empty, stream::event);
      reply.begin(Usage.NONE);
      events.forEach(reply::next);
    }
  }
}
