package dev.knapsack.cli;

import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.Sampling;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say how the next token is chosen. */
final class SamplingOptions {
  @Option(
      names = "--greedy",
      description = "Always take the likeliest token; the same as --temperature 0.")
  private boolean greedy;

  @Option(
      names = {"--temperature", "--temp"},
      paramLabel = "T",
      description = "Divide logits by this (default: 0.8; 0 where a model denoises).")
  private @Nullable Float temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Keep the K likeliest tokens; 0: all (default: 40).")
  private @Nullable Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Keep tokens up to this probability in sum; 1: all (default: 0.95).")
  private @Nullable Float topP;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description =
          "Keep tokens at least this fraction as likely as the likeliest; 0: all (default: 0.05).")
  private @Nullable Float minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "F",
      description = "Divide the logits of recent tokens by this (default: 1, none).")
  private @Nullable Float repetitionPenalty;

  @Option(
      names = "--presence-penalty",
      paramLabel = "F",
      description = "Take this from the logit of every recent token (default: 0).")
  private @Nullable Float presencePenalty;

  @Option(
      names = "--frequency-penalty",
      paramLabel = "F",
      description = "Take this once for each recent use (default: 0).")
  private @Nullable Float frequencyPenalty;

  @Option(
      names = "--penalty-window",
      paramLabel = "N",
      description = "Recent means the last N tokens; -1: all (default: 64).")
  private @Nullable Integer penaltyWindow;

  @Option(
      names = "--logit-bias",
      paramLabel = "ID=BIAS",
      description = "Add a bias to a token's logit; may be given several times.")
  private Map<Integer, Float> logitBias = new LinkedHashMap<>();

  @Option(
      names = "--block-length",
      paramLabel = "N",
      description =
          "Models that denoise: decide the answer in blocks of N tokens, from left to right"
              + " (default: 32).")
  private @Nullable Integer blockLength;

  @Option(
      names = "--denoising-steps",
      paramLabel = "N",
      description =
          "Models that denoise: decide a block in N steps; fewer are faster and worse (default: one"
              + " for each token).")
  private @Nullable Integer denoisingSteps;

  @Option(
      names = "--confidence",
      paramLabel = "MEASURE",
      description =
          "Models that denoise: decide first what this is best of: probability, margin, entropy or"
              + " random (default: probability).")
  private Denoising.@Nullable Confidence confidence;

  @Option(
      names = "--drafts",
      paramLabel = "N",
      description =
          "Models that denoise: compute up to N drafts of later steps with each, if they fit. The"
              + " answer is the same, sooner where weights are streamed (default: 0).")
  private @Nullable Integer drafts;

  @Option(names = "--seed", paramLabel = "N", description = "Make random choices reproducible.")
  private @Nullable Long seed;

  /**
   * The sampling asked for.
   *
   * @param base what holds where nothing was asked
   */
  Sampling sampling(Sampling base) {
    return new Sampling(
        greedy ? 0 : or(temperature, base.temperature()),
        or(topK, base.topK()),
        or(topP, base.topP()),
        or(minP, base.minP()),
        or(repetitionPenalty, base.repetitionPenalty()),
        or(presencePenalty, base.presencePenalty()),
        or(frequencyPenalty, base.frequencyPenalty()),
        or(penaltyWindow, base.penaltyWindow()),
        logitBias,
        seed == null ? base.seed() : OptionalLong.of(seed),
        denoising(base.denoising()));
  }

  private Denoising denoising(Denoising base) {
    return new Denoising(
        or(blockLength, base.blockLength()),
        or(denoisingSteps, base.steps()),
        or(confidence, base.confidence()),
        or(drafts, base.drafts()));
  }

  private static <T> T or(@Nullable T value, T otherwise) {
    return value == null ? otherwise : value;
  }
}
