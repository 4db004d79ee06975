package dev.knapsack.serve;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.Task;
import dev.knapsack.serve.http.Fields;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Fields of requests for vectors, whichever API they have come by. */
public final class EmbeddingFields {
  /** Texts of a request, as OpenAI's API limits them. */
  private static final int TEXTS = 2048;

  /** Fields that say what vectors are for: Cohere's and Voyage's, Jina's, and Nomic's. */
  private static final List<String> TASKS = List.of("input_type", "task", "task_type");

  private static final Map<String, Task> WORDS =
      Map.ofEntries(
          Map.entry("query", Task.QUERY),
          Map.entry("search_query", Task.QUERY),
          Map.entry("retrieval_query", Task.QUERY),
          Map.entry("document", Task.DOCUMENT),
          Map.entry("passage", Task.DOCUMENT),
          Map.entry("search_document", Task.DOCUMENT),
          Map.entry("retrieval_document", Task.DOCUMENT),
          Map.entry("retrieval_passage", Task.DOCUMENT),
          Map.entry("code_passage", Task.DOCUMENT),
          Map.entry("similarity", Task.SIMILARITY),
          Map.entry("semantic_similarity", Task.SIMILARITY),
          Map.entry("text_matching", Task.SIMILARITY),
          Map.entry("classification", Task.CLASSIFICATION),
          Map.entry("clustering", Task.CLUSTERING),
          Map.entry("separation", Task.CLUSTERING),
          Map.entry("question_answering", Task.QUESTION_ANSWERING),
          Map.entry("fact_checking", Task.FACT_CHECKING),
          Map.entry("fact_verification", Task.FACT_CHECKING),
          Map.entry("code_retrieval", Task.CODE_RETRIEVAL),
          Map.entry("code_retrieval_query", Task.CODE_RETRIEVAL),
          Map.entry("code_query", Task.CODE_RETRIEVAL));

  private EmbeddingFields() {}

  /** The texts of {@code input}: a string, a list of them, or the same in tokens. */
  public static EmbeddingRequest input(Fields body) {
    JsonElement input = body.get("input");
    if (input instanceof JsonPrimitive p && p.isString()) {
      return EmbeddingRequest.of(p.getAsString());
    }
    if (!(input instanceof JsonArray list) || list.isEmpty()) {
      throw body.refusal(
          "input", "must be a string, a list of strings, a list of tokens, or a list of those");
    }
    if (list.get(0) instanceof JsonPrimitive p && p.isNumber()) {
      return EmbeddingRequest.ofTokens(List.of(tokens(body, list)));
    }
    if (list.size() > TEXTS) {
      throw body.refusal(
          "input", "has %,d texts; it can have up to %,d".formatted(list.size(), TEXTS));
    }
    if (list.get(0) instanceof JsonArray) {
      List<int[]> texts = new ArrayList<>();
      list.forEach(item -> texts.add(tokens(body, item)));
      return EmbeddingRequest.ofTokens(texts);
    }
    return EmbeddingRequest.of(body.texts("input"));
  }

  private static int[] tokens(Fields body, JsonElement item) {
    if (item instanceof JsonArray list
        && !list.isEmpty()
        && list.asList().stream()
            .allMatch(token -> token instanceof JsonPrimitive p && p.isNumber())) {
      return list.asList().stream().mapToInt(JsonElement::getAsInt).toArray();
    }
    throw body.refusal("input", "must have texts alone, or lists of tokens alone");
  }

  /** A request with the task that a body names, whose words are put before its texts. */
  public static EmbeddingRequest task(Fields body, EmbeddingRequest request) {
    for (String field : TASKS) {
      String word = body.text(field, "");
      if (!word.isEmpty()) {
        Task task = WORDS.get(word.toLowerCase(Locale.ROOT).replace('.', '_').replace('-', '_'));
        if (task == null) {
          throw body.refusal(
              field,
              "can be %s; it is none of them"
                  .formatted(String.join(", ", WORDS.keySet().stream().sorted().toList())));
        }
        return request.withTask(task);
      }
    }
    return request;
  }
}
