package dev.knapsack.serve.openai;

import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Refusal;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The question that a body asks of a model, whichever way the body has come.
 *
 * @param prompts at least one; each is answered {@code samples} times
 * @param reply makes the body of the whole reply of the answers to each prompt
 */
public record Question(
    ServedModel model,
    List<GenerationRequest> prompts,
    int samples,
    Function<List<List<Generation.Result>>, JsonObject> reply) {
  private static final Map<String, BiFunction<ServedModels, Fields, Question>> READERS =
      Map.of(
          "/v1/chat/completions", ChatCompletions::question,
          "/v1/completions", Completions::question,
          "/v1/responses", Responses::question);

  public Question {
    prompts = List.copyOf(prompts);
  }

  /**
   * The question that a body is to the API at a path.
   *
   * @throws Refusal if nothing is asked there in this way, or the body cannot be served
   */
  public static Question of(String path, ServedModels models, Fields body) {
    BiFunction<ServedModels, Fields, Question> reader = READERS.get(path);
    if (reader == null) {
      throw Refusal.field(
          "url",
          "'url' is '%s'; a batch can ask %s.".formatted(path, String.join(" and ", paths())));
    }
    return reader.apply(models, body);
  }

  /** The paths that batches can ask: those that take questions, and that of vectors. */
  public static List<String> paths() {
    return Stream.concat(READERS.keySet().stream(), Stream.of(Embeddings.PATH)).sorted().toList();
  }
}
