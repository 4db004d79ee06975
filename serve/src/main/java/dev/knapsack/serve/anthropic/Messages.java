package dev.knapsack.serve.anthropic;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;

/** {@code POST /v1/messages}: the next message of a conversation, whole or in pieces. */
public final class Messages {
  private final ServedModels models;

  public Messages(ServedModels models) {
    this.models = models;
  }

  /** Answers one request. */
  public void handle(Exchange exchange) {
    exchange.header("request-id", Ids.next("req_"));
    Fields body = exchange.fields();
    ServedModel model = models.named(body.text("model"));
    GenerationRequest request = MessageFields.request(body);
    boolean oneCall = MessageFields.oneCall(body);
    try (Answering answering = model.answer(exchange, request, 1)) {
      Generation answer = answering.answers().getFirst();
      if (body.flag("stream", false)) {
        try (EventStream stream = exchange.events()) {
          Reply reply = new Reply(model, oneCall, answer::stopString, stream::event);
          reply.begin(answer.usage());
          answering.each((_, event) -> reply.next(event));
        }
      } else {
        Generation.Result result = answering.results().getFirst();
        exchange.json(
            200, new Reply(model, oneCall, answer::stopString, (_, _) -> {}).whole(result));
      }
    }
  }

  /** Counts the tokens that a request's prompt has. */
  public void count(Exchange exchange) {
    exchange.header("request-id", Ids.next("req_"));
    Fields body = exchange.fields();
    ServedModel model = models.named(body.text("model"));
    int tokens = model.knapsack().tokens(MessageFields.conversation(body)).length;
    exchange.json(200, Json.object("input_tokens", tokens));
  }
}
