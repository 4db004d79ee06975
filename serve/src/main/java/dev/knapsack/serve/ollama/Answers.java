package dev.knapsack.serve.ollama;

import com.google.gson.JsonElement;
import dev.knapsack.GenerationRequest;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import java.util.function.Consumer;

/** {@code POST /api/chat} and {@code /api/generate}: answers, in lines or whole. */
public final class Answers {
  private final ServedModels models;

  public Answers(ServedModels models) {
    this.models = models;
  }

  /** The next message of a conversation. */
  public void chat(Exchange exchange) {
    Fields body = exchange.fields();
    if (body.objects("messages").isEmpty()) {
      load(exchange, body, Reply.Form.MESSAGE);
    } else {
      answer(exchange, body, Reply.Form.MESSAGE, RequestFields.chat(body));
    }
  }

  /** The text that goes on from a prompt. */
  public void generate(Exchange exchange) {
    Fields body = exchange.fields();
    if (body.text("prompt", "").isEmpty()) {
      load(exchange, body, Reply.Form.TEXT);
    } else {
      answer(exchange, body, Reply.Form.TEXT, RequestFields.generate(body));
    }
  }

  /** Models are open as long as the server is. */
  private void load(Exchange exchange, Fields body, Reply.Form form) {
    exchange.json(
        200,
        reply(exchange, body, models.named(ModelNames.named(models, body)), form, _ -> {})
            .loaded());
  }

  private void answer(Exchange exchange, Fields body, Reply.Form form, GenerationRequest request) {
    ServedModel model = models.named(ModelNames.named(models, body));
    try (Answering answering = model.answer(exchange, request, 1)) {
      if (body.flag("stream", true)) {
        try (EventStream stream = exchange.lines()) {
          Reply reply = reply(exchange, body, model, form, stream::line);
          answering.each((_, event) -> reply.next(event));
        }
      } else {
        Reply reply = reply(exchange, body, model, form, _ -> {});
        exchange.json(200, reply.whole(answering.results().getFirst()));
      }
    }
  }

  private static Reply reply(
      Exchange exchange,
      Fields body,
      ServedModel model,
      Reply.Form form,
      Consumer<JsonElement> lines) {
    return new Reply(
        model, body.text("model").orElseGet(model::name), form, exchange.receipt()::seconds, lines);
  }
}
