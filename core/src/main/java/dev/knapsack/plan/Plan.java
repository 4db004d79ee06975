package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.tensor.Formats;
import java.util.List;

/**
 * What gets which bytes, what that costs, and all that the engine needs to open the model: a value
 * that prints as a table, serialises to JSON, and can be edited.
 *
 * @param model the model's name, for people
 * @param budget bytes that the process may have resident
 * @param context tokens that a sequence may hold
 * @param sequences sequences that may run at once
 * @param keyFormat format of cached keys: {@code F16}, {@code Q8_0}, {@code Q4_0}, …
 * @param valueFormat format of cached values
 * @param recent how many of the last tokens are cached in F16 all the same
 * @param rotated whether heads are rotated before they are cached
 * @param prefillChunk tokens of a prompt that one step takes at the most
 * @param workers threads that compute
 * @param weights which weights stay and which are streamed
 * @param shares bytes per account; their sum is the predicted peak resident set
 * @param choices what was chosen among what, for people
 * @param prediction speed to expect
 */
public record Plan(
    String model,
    long budget,
    int context,
    int sequences,
    String keyFormat,
    String valueFormat,
    int recent,
    boolean rotated,
    int prefillChunk,
    int workers,
    Weights weights,
    List<Share> shares,
    List<Choice> choices,
    Prediction prediction) {
  public Plan {
    shares = List.copyOf(shares);
    choices = List.copyOf(choices);
  }

  /** With all tokens cached in the same formats, as they are. */
  public Plan(
      String model,
      long budget,
      int context,
      int sequences,
      String keyFormat,
      String valueFormat,
      int prefillChunk,
      int workers,
      Weights weights,
      List<Share> shares,
      List<Choice> choices,
      Prediction prediction) {
    this(
        model,
        budget,
        context,
        sequences,
        keyFormat,
        valueFormat,
        0,
        false,
        prefillChunk,
        workers,
        weights,
        shares,
        choices,
        prediction);
  }

  /** How the KV cache is stored. */
  public KvFormat kvFormat() {
    return new KvFormat(Formats.byName(keyFormat), Formats.byName(valueFormat), recent, rotated);
  }

  /** Predicted peak resident set in bytes. */
  public long bytes() {
    return shares.stream().mapToLong(Share::bytes).sum();
  }

  /**
   * Where weights are.
   *
   * @param streamedLayers layers read from disk in every step, in order; the others stay (all but
   *     their experts, if those are cached)
   * @param outputStreamed whether the output projection (and the embedding) is read from disk in
   *     every step
   * @param streamBuffer bytes of each of the two buffers that streamed layers and blocks of the
   *     output are read into; 0 if nothing is streamed
   * @param expertCache bytes for experts that are kept by use, the rest being read when a token
   *     needs them; -1 when experts stay or stream with their layers
   */
  public record Weights(
      List<Integer> streamedLayers, boolean outputStreamed, long streamBuffer, long expertCache) {
    /** Everything stays. */
    public static final Weights RESIDENT = new Weights(List.of(), false, 0, -1);

    public Weights {
      streamedLayers = List.copyOf(streamedLayers);
    }
  }

  /** An account's bytes, and what they are for. */
  public record Share(String account, long bytes, String what) {}

  /** One decision: what was taken, and what else there was. */
  public record Choice(String component, String chosen, List<Alternative> alternatives) {
    public Choice {
      alternatives = List.copyOf(alternatives);
    }
  }

  /** A way not taken, with the whole plan's bytes and decode rate if it were. */
  public record Alternative(String name, long bytes, double decodeTokensPerSecond, String cost) {}

  /**
   * Predicted speed.
   *
   * @param prefillTokensPerSecond rate of reading a prompt
   * @param decodeTokensPerSecond rate of writing an answer, at a nearly empty cache
   * @param secondsToFirstToken from a warm engine, for a prompt of {@code promptTokens}
   * @param promptTokens the prompt that the time to first token is for
   * @param memoryBytesPerSecond rate of reading memory, as just measured, that this rests on
   */
  public record Prediction(
      double prefillTokensPerSecond,
      double decodeTokensPerSecond,
      double secondsToFirstToken,
      int promptTokens,
      double memoryBytesPerSecond) {}
}
