package dev.knapsack;

import dev.knapsack.model.ModelSpec;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;

/**
 * The words that embedding models want before a text, by its task, as their cards say; in no file
 * are they written.
 */
final class TaskPrefixes {
  private static final String SEARCH = "Represent this sentence for searching relevant passages: ";

  private static final String INSTRUCT =
      "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
          + "Query:";

  /** Some models, by their names, and what stands before their texts. */
  private record Models(Predicate<String> named, Map<Task, String> prefixes) {}

  /** The first that fits counts. */
  private static final List<Models> BY_NAME =
      List.of(
          new Models(
              name -> name.contains("arctic-embed") && name.contains("v2"), pair("query: ", "")),
          new Models(name -> name.contains("arctic-embed"), pair(SEARCH, "")),
          new Models(name -> name.contains("mxbai-embed-large"), pair(SEARCH, "")),
          new Models(name -> name.contains("bge-m3"), pair("", "")),
          new Models(name -> name.matches(".*bge-.*-en.*"), pair(SEARCH, "")),
          new Models(
              name ->
                  name.matches("(.*[^a-z])?e5-.*")
                      && !name.contains("instruct")
                      && !name.contains("mistral"),
              with(
                  pair("query: ", "passage: "),
                  Map.of(
                      Task.SIMILARITY, "query: ",
                      Task.CLASSIFICATION, "query: ",
                      Task.CLUSTERING, "query: "))),
          new Models(
              name -> name.contains("nomic-embed") || name.contains("modernbert-embed"),
              with(
                  pair("search_query: ", "search_document: "),
                  Map.of(
                      Task.CLASSIFICATION, "classification: ",
                      Task.CLUSTERING, "clustering: "))),
          new Models(
              name ->
                  name.contains("minilm")
                      || name.contains("gte-")
                      || name.contains("jina-embeddings-v2"),
              all("")),
          new Models(name -> name.contains("qwen3-embedding"), pair(INSTRUCT, "")));

  private static final Map<Task, String> GEMMA =
      with(
          pair("task: search result | query: ", "title: none | text: "),
          Map.of(
              Task.SIMILARITY, "task: sentence similarity | query: ",
              Task.CLASSIFICATION, "task: classification | query: ",
              Task.CLUSTERING, "task: clustering | query: ",
              Task.QUESTION_ANSWERING, "task: question answering | query: ",
              Task.FACT_CHECKING, "task: fact checking | query: ",
              Task.CODE_RETRIEVAL, "task: code retrieval | query: "));

  private TaskPrefixes() {}

  private static Map<Task, String> pair(String query, String document) {
    return Map.of(Task.QUERY, query, Task.DOCUMENT, document);
  }

  private static Map<Task, String> all(String prefix) {
    Map<Task, String> all = new EnumMap<>(Task.class);
    for (Task task : Task.values()) {
      all.put(task, prefix);
    }
    return all;
  }

  private static Map<Task, String> with(Map<Task, String> some, Map<Task, String> more) {
    Map<Task, String> both = new EnumMap<>(some);
    both.putAll(more);
    return both;
  }

  /**
   * The words for a task.
   *
   * @throws IllegalArgumentException if the model was trained with none for it, or is not known
   */
  static String of(ModelSpec spec, Task task) {
    Map<Task, String> known = known(spec);
    String prefix = known.get(task);
    if (prefix == null) {
      throw new IllegalArgumentException(
          known.isEmpty()
              ? "It is not known what %s wants before a text that is a %s; give the words themselves, as its card says them."
                  .formatted(spec.name(), task.name().toLowerCase(Locale.ROOT))
              : "%s was trained with no words for the task %s; it has some for %s."
                  .formatted(
                      spec.name(),
                      task.name().toLowerCase(Locale.ROOT),
                      known.keySet().stream()
                          .map(t -> t.name().toLowerCase(Locale.ROOT))
                          .sorted()
                          .toList()));
    }
    return prefix;
  }

  private static Map<Task, String> known(ModelSpec spec) {
    if (spec.family().equals("gemma-embedding")) {
      return GEMMA;
    }
    String name = spec.name().toLowerCase(Locale.ROOT).replace(' ', '-').replace('_', '-');
    return BY_NAME.stream()
        .filter(models -> models.named.test(name))
        .findFirst()
        .map(Models::prefixes)
        .orElse(Map.of());
  }
}
