package dev.knapsack.eval;

import com.google.gson.JsonObject;

/**
 * The cost of keeping the cache in one form.
 *
 * @param form name of the form
 * @param keyFormat format of keys
 * @param valueFormat format of values
 * @param bytes what it takes
 * @param full what F16 takes of the same tokens
 * @param perplexity along the text; 0 if nothing was scored
 * @param text predictions along the text against those with the F16 cache
 * @param answers predictions along the answers that the F16 cache gave, against its own
 * @param asked questions asked
 * @param right questions answered exactly
 * @param decodeTokensPerSecond rate of writing the answers; 0 if there was none of two tokens
 */
public record KvFormatResult(
    String form,
    String keyFormat,
    String valueFormat,
    CacheBytes bytes,
    CacheBytes full,
    double perplexity,
    Agreement text,
    Agreement answers,
    int asked,
    int right,
    double decodeTokensPerSecond) {
  /** Share of questions answered exactly, 0 to 1; 0 if none was asked. */
  public double recall() {
    return asked == 0 ? 0 : (double) right / asked;
  }

  /** Leased bytes as a share of those of F16. */
  public double shareOfFull() {
    return bytes.ledgerPerToken() / full.ledgerPerToken();
  }

  /** All figures as one JSON object; divergences in nats, bytes a token. */
  public JsonObject json() {
    JsonObject line = new JsonObject();
    line.addProperty("form", form);
    line.addProperty("keyFormat", keyFormat);
    line.addProperty("valueFormat", valueFormat);
    line.addProperty("bytesPerToken", bytes.numbers());
    line.addProperty("ledgerBytesPerToken", bytes.ledgerPerToken());
    line.addProperty("residentBytesPerToken", bytes.residentPerToken());
    line.addProperty("residentBytesLeft", bytes.left());
    line.addProperty("tokensFilled", bytes.tokens());
    line.addProperty("shareOfF16", shareOfFull());
    line.addProperty("perplexity", perplexity);
    line.add("text", text.json());
    if (asked > 0) {
      line.add("answers", answers.json());
      line.addProperty("asked", asked);
      line.addProperty("right", right);
      line.addProperty("recall", recall());
      line.addProperty("decodeTokensPerSecond", decodeTokensPerSecond);
    }
    return line;
  }
}
