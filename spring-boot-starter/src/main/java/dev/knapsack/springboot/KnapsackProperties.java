package dev.knapsack.springboot;

import dev.knapsack.Options;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.springai.KnapsackChatOptions;
import dev.knapsack.springai.KnapsackEmbeddingOptions;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The configuration of Knapsack's models.
 *
 * @param memory Budget of all models together, such as 512MiB. Beside the heap, unless whole-process
 *     says otherwise.
 * @param wholeProcess Whether the budget is that of the whole process, its heap included.
 * @param cacheDir Folder where the measured speed of this machine is kept; ~/.cache/knapsack if
 *     nothing is said.
 * @param chat The model that chats.
 * @param embedding The model that makes vectors.
 */
@ConfigurationProperties("spring.ai.knapsack")
public record KnapsackProperties(
    @Nullable String memory,
    @DefaultValue("false") boolean wholeProcess,
    @Nullable String cacheDir,
    @DefaultValue Chat chat,
    @DefaultValue Embedding embedding) {
  /**
   * The model that chats.
   *
   * @param model GGUF file, or directory of safetensors, of the model that chats.
   * @param context Tokens that a conversation may hold; as many as the model was trained for and
   *     fit, if nothing is said.
   * @param sequences Answers that are written at once.
   * @param queue Requests that may wait meanwhile.
   * @param workers Threads that compute; one a core if nothing is said.
   * @param kvFormat Form of the KV cache, such as f16 or q8_0; the plan's choice if nothing is said.
   * @param kvPolicy Tokens that the KV cache keeps, such as full or streaming(4).
   * @param constraints Whether memory is planned for answers that are held to a schema or a grammar.
   * @param options What prompts have that do not say otherwise.
   */
  public record Chat(
      @Nullable String model,
      @Nullable Integer context,
      @DefaultValue("1") int sequences,
      @DefaultValue("64") int queue,
      @Nullable Integer workers,
      @Nullable String kvFormat,
      @Nullable String kvPolicy,
      @DefaultValue("true") boolean constraints,
      @DefaultValue ChatOptions options) {
    Options opening() {
      Options opening =
          Options.usual()
              .withSequences(sequences)
              .withQueue(queue)
              .withConstraints(constraints);
      if (context != null) {
        opening = opening.withContext(context);
      }
      if (workers != null) {
        opening = opening.withWorkers(workers);
      }
      String format = kvFormat == null ? "auto" : kvFormat;
      if (kvPolicy != null) {
        opening = opening.withCacheFormat(KvChoice.parse(format, kvPolicy));
      } else if (kvFormat != null) {
        opening = opening.withCacheFormat(KvChoice.parse(format));
      }
      return opening;
    }
  }

  /**
   * What prompts have that do not say otherwise; what is missing is as usual.
   *
   * @param temperature Divisor of logits; 0 takes the likeliest token.
   * @param topK Likeliest tokens that are kept; 0 for all.
   * @param topP Sum of probabilities of the tokens that are kept.
   * @param minP Fraction of the likeliest token's probability that a token must have.
   * @param maxTokens Tokens that an answer may have.
   * @param stop Texts before any of which an answer ends.
   * @param seed Seed that tokens are drawn with.
   * @param presencePenalty What is taken from the logits of tokens that have come up.
   * @param frequencyPenalty What is taken from them each time.
   * @param repetitionPenalty Factor by which tokens that have come up are made less likely.
   * @param thinking Whether the model thinks before it speaks, where its template can say so.
   * @param timeout Time that an answer may take.
   */
  public record ChatOptions(
      @Nullable Double temperature,
      @Nullable Integer topK,
      @Nullable Double topP,
      @Nullable Double minP,
      @Nullable Integer maxTokens,
      @Nullable List<String> stop,
      @Nullable Long seed,
      @Nullable Double presencePenalty,
      @Nullable Double frequencyPenalty,
      @Nullable Double repetitionPenalty,
      @Nullable Boolean thinking,
      @Nullable Duration timeout) {
    KnapsackChatOptions options() {
      KnapsackChatOptions.Builder builder =
          KnapsackChatOptions.builder()
              .temperature(temperature)
              .topK(topK)
              .topP(topP)
              .minP(minP)
              .maxTokens(maxTokens)
              .stopSequences(stop)
              .seed(seed)
              .presencePenalty(presencePenalty)
              .frequencyPenalty(frequencyPenalty)
              .repetitionPenalty(repetitionPenalty)
              .timeout(timeout);
      return (thinking == null ? builder : builder.thinking(thinking)).build();
    }
  }

  /**
   * The model that makes vectors.
   *
   * @param model GGUF file, or directory of safetensors, of the model that makes vectors.
   * @param context Tokens that a text may have; as many as the model reads if nothing is said.
   * @param dimensions Numbers of a vector; as many as the model makes if nothing is said.
   * @param retrieval Whether documents are read as such and single texts as questions, with the
   *     words that the model was trained with for each.
   */
  public record Embedding(
      @Nullable String model,
      @Nullable Integer context,
      @Nullable Integer dimensions,
      @DefaultValue("false") boolean retrieval) {
    Options opening() {
      return context == null ? Options.usual() : Options.usual().withContext(context);
    }

    KnapsackEmbeddingOptions options() {
      return KnapsackEmbeddingOptions.NONE.withDimensions(dimensions);
    }
  }
}
