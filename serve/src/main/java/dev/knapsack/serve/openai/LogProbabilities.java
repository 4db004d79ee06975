package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.generation.Event;
import dev.knapsack.serve.http.Json;
import java.util.List;

/** Log-probabilities of tokens, as chats and as completions show them. */
final class LogProbabilities {
  private LogProbabilities() {}

  static JsonObject chat(Knapsack model, List<Event.Token> tokens) {
    JsonArray content = new JsonArray();
    for (Event.Token token : tokens) {
      JsonObject written = token(model, token.id(), token.logProbability().orElseThrow());
      JsonArray top = new JsonArray();
      token.alternatives().forEach(a -> top.add(token(model, a.id(), a.logProbability())));
      written.add("top_logprobs", top);
      content.add(written);
    }
    return Json.object("content", content, "refusal", Json.nothing());
  }

  private static JsonObject token(Knapsack model, int id, double logProbability) {
    JsonArray bytes = new JsonArray();
    for (byte b : model.tokenizer().bytes(id, true)) {
      bytes.add(b & 0xff);
    }
    return Json.object(
        "token", model.text(id), "logprob", logProbability, "bytes", bytes, "id", id);
  }

  /**
   * The form of text completions.
   *
   * @param offset characters of the answer before these tokens
   */
  static JsonObject completion(Knapsack model, List<Event.Token> tokens, int offset) {
    JsonArray texts = new JsonArray();
    JsonArray logProbabilities = new JsonArray();
    JsonArray tops = new JsonArray();
    JsonArray offsets = new JsonArray();
    int at = offset;
    for (Event.Token token : tokens) {
      String text = model.text(token.id());
      texts.add(text);
      logProbabilities.add(token.logProbability().orElseThrow());
      JsonObject top = new JsonObject();
      token.alternatives().forEach(a -> top.addProperty(model.text(a.id()), a.logProbability()));
      tops.add(top);
      offsets.add(at);
      at += text.length();
    }
    return Json.object(
        "tokens", texts,
        "token_logprobs", logProbabilities,
        "top_logprobs", tops,
        "text_offset", offsets);
  }
}
