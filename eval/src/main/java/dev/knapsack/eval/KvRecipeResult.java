package dev.knapsack.eval;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.List;

/**
 * The cost of a recipe of the KV cache at a budget, and what it saves.
 *
 * @param trial what was tried
 * @param visible whether questions stood in the prompt that was compressed; if not, they were asked
 *     afterwards
 * @param contexts prompts read
 * @param tokens of them all
 * @param bytes that all their caches took once brought to size, as the account leased them, and
 *     what was read again from disk for answers, at most
 * @param fullBytes that the F16 caches of the same prompts took
 * @param peakBytes the most that one took while it was read
 * @param fullPeakBytes the most that one of the F16 caches took while it was read
 * @param resident bytes by which the process's anonymous resident set grew with a cache, the
 *     median; 0 where the operating system does not say
 * @param asked questions asked
 * @param right questions answered exactly
 * @param fullRight questions that the F16 cache answered exactly
 * @param depths the same by where in the prompt that stands which is asked for, ascending; none
 *     where that is not known
 * @param answers predictions along the answers of the F16 cache, against its own
 * @param perplexity along the exact answers; 0 where answers only have to be contained
 * @param text predictions along the text against those with the F16 cache
 * @param textPerplexity along the text; 0 without one
 * @param readSeconds reading and compressing a prompt, the mean
 * @param firstTokenSeconds from asking to the first token of an answer, the mean; reading the
 *     prompt counts where the question stands in it
 * @param decodeTokensPerSecond rate of writing answers; 0 if there was none of two tokens
 */
public record KvRecipeResult(
    KvTrial trial,
    boolean visible,
    int contexts,
    long tokens,
    long bytes,
    long fullBytes,
    long peakBytes,
    long fullPeakBytes,
    long resident,
    int asked,
    int right,
    int fullRight,
    List<Depth> depths,
    Agreement answers,
    double perplexity,
    Agreement text,
    double textPerplexity,
    double readSeconds,
    double firstTokenSeconds,
    double decodeTokensPerSecond) {
  /** Share of questions answered exactly, 0 to 1. */
  public double recall() {
    return (double) right / asked;
  }

  /** Leased bytes as a share of those of F16. */
  public double shareOfFull() {
    return (double) bytes / fullBytes;
  }

  /** All figures as one JSON object; divergences in nats. */
  public JsonObject json() {
    JsonObject line = trial.json();
    line.addProperty("question", visible ? "visible" : "hidden");
    line.addProperty("contexts", contexts);
    line.addProperty("contextTokens", tokens);
    line.addProperty("ledgerBytes", bytes);
    line.addProperty("ledgerBytesOfF16", fullBytes);
    line.addProperty("shareOfF16", shareOfFull());
    line.addProperty("peakBytes", peakBytes);
    line.addProperty("peakBytesOfF16", fullPeakBytes);
    line.addProperty("residentBytes", resident);
    line.addProperty("asked", asked);
    line.addProperty("right", right);
    line.addProperty("rightWithF16", fullRight);
    line.addProperty("recall", recall());
    if (!depths.isEmpty()) {
      JsonArray array = new JsonArray();
      depths.forEach(depth -> array.add(depth.json()));
      line.add("depths", array);
    }
    line.add("answers", answers.json());
    line.addProperty("perplexity", perplexity);
    if (text.positions() > 0) {
      line.add("text", text.json());
      line.addProperty("textPerplexity", textPerplexity);
    }
    line.addProperty("readSeconds", readSeconds);
    line.addProperty("firstTokenSeconds", firstTokenSeconds);
    line.addProperty("decodeTokensPerSecond", decodeTokensPerSecond);
    return line;
  }
}
