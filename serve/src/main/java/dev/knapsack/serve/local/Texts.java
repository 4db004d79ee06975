package dev.knapsack.serve.local;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import dev.knapsack.Knapsack;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.openai.ChatFields;
import dev.knapsack.text.Tokenizer;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * {@code POST /tokenize}, {@code /detokenize} and {@code /apply-template}: text as a model reads
 * it; the first two for models of every kind.
 */
public final class Texts {
  private final ServedModels models;

  public Texts(ServedModels models) {
    this.models = models;
  }

  /** The tokens of {@code content}, or of the conversation that {@code messages} are. */
  public void tokenize(Exchange exchange) {
    Fields body = exchange.fields();
    Tokenizer tokenizer = tokenizer(body);
    int[] tokens;
    if (body.has("messages")) {
      Knapsack model = models.named(body.text("model")).knapsack();
      tokens = model.tokens(ChatFields.conversation(body));
    } else {
      String text = body.text("content").orElseGet(() -> body.needed("prompt"));
      boolean special = body.flag("parse_special", true);
      tokens = tokenizer.encode(text, body.flag("add_special", false), special);
    }
    boolean pieces = body.flag("with_pieces", false);
    JsonArray list = new JsonArray();
    for (int token : tokens) {
      if (pieces) {
        list.add(
            Json.object("id", token, "piece", new String(tokenizer.bytes(token, true), UTF_8)));
      } else {
        list.add(token);
      }
    }
    exchange.json(200, Json.object("tokens", list, "count", tokens.length));
  }

  /** The text of {@code tokens}. */
  public void detokenize(Exchange exchange) {
    Fields body = exchange.fields();
    Tokenizer tokenizer = tokenizer(body);
    JsonArray tokens =
        body.array("tokens")
            .orElseThrow(() -> body.refusal("tokens", "is missing; it must be a list"));
    int size = tokenizer.size();
    int[] ids =
        IntStream.range(0, tokens.size())
            .map(i -> {
              JsonElement item = tokens.get(i);
              int id =
                  item.isJsonPrimitive() && item.getAsJsonPrimitive().isNumber()
                      ? item.getAsInt()
                      : -1;
              if (id < 0 || id >= size) {
                throw body.refusal(
                    "tokens", "must be numbers from 0 to %,d; [%d] is none".formatted(size - 1, i));
              }
              return id;
            })
            .toArray();
    exchange.json(200, Json.object("content", tokenizer.decode(ids, true)));
  }

  /** That of the model that is named, of whichever kind; if none is, of the first that writes. */
  private Tokenizer tokenizer(Fields body) {
    Optional<String> name = body.text("model");
    return name.isEmpty() && !models.writers().isEmpty()
        ? models.writers().getFirst().tokenizer()
        : models.any(name).tokenizer();
  }

  /** The prompt that {@code messages} and {@code tools} become. */
  public void applyTemplate(Exchange exchange) {
    Fields body = exchange.fields();
    Knapsack model = models.named(body.text("model")).knapsack();
    exchange.json(
        200, Json.object("prompt", model.text(model.tokens(ChatFields.conversation(body)))));
  }
}
