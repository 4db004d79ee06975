package dev.knapsack;

import dev.knapsack.engine.TextEncoder;
import dev.knapsack.engine.TextTokens;
import dev.knapsack.file.TemplateSource;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.MarkedText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/**
 * A reranker, open inside a budget: it reads a query and a document together, and says how well the
 * document answers the query.
 *
 * <p>As with {@link Embedder}, what many threads ask for is computed together, and a score does not
 * depend on what is computed beside it.
 */
public final class Reranker implements AutoCloseable {
  /** The question that Qwen 3's rerankers were trained with, as their card has it. */
  private static final String JUDGE =
      "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and"
          + " the Instruct provided. Note that the answer can only be \"yes\" or"
          + " \"no\".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve"
          + " relevant passages that answer the query\n<Query>: {query}\n<Document>:"
          + " {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

  private static final String QUERY = "{query}";
  private static final String DOCUMENT = "{document}";

  private final OpenEncoder open;

  /**
   * A document's score.
   *
   * @param index its place among the documents that were given
   * @param score the model's own number, the larger the better; of BERT's kin any number, whose
   *     {@link #probability} is between 0 and 1, of Qwen 3 the probability itself
   * @param tokens tokens that were read of query and document
   * @param cut whether they had more than the model reads at once
   */
  public record Score(int index, double score, int tokens, boolean cut) {
    /** The score as a number between 0 and 1, of a model whose scores are any numbers. */
    public double probability() {
      return 1 / (1 + Math.exp(-score));
    }
  }

  private Reranker(OpenEncoder open) {
    this.open = open;
  }

  /**
   * Opens a model in a host of its own.
   *
   * @throws dev.knapsack.error.ModelFileException if it cannot be read, is not supported, or is no
   *     reranker
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   */
  public static Reranker open(Path model, Budget budget) {
    return open(model, new Host(budget), Options.usual());
  }

  /** Opens a model as asked for, beside what else is open in a host. */
  public static Reranker open(Path model, Host host, Options options) {
    return new Reranker(OpenEncoder.open(model, host, options, true));
  }

  /** The plan that it was opened by. */
  public Plan plan() {
    return open.plan();
  }

  /** The model's own name. */
  public String name() {
    return open.encoder().spec().name();
  }

  public Budget budget() {
    return open.encoder().budget();
  }

  /** The documents' scores, the best first; of equal ones the earlier first. */
  public List<Score> rank(String query, List<String> documents) {
    List<TextTokens.Input> inputs = new ArrayList<>();
    List<CompletableFuture<float[]>> results = new ArrayList<>();
    for (String document : documents) {
      TextTokens.Input input = input(query, document);
      inputs.add(input);
      results.add(open.encoder().submit(input.tokens()));
    }
    List<Score> scores = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      TextTokens.Input input = inputs.get(i);
      float score = TextEncoder.await(results.get(i))[0];
      scores.add(new Score(i, score, input.tokens().length, input.cut()));
    }
    scores.sort(Comparator.comparingDouble(Score::score).reversed());
    return scores;
  }

  private TextTokens.Input input(String query, String document) {
    String template = template();
    int most = plan().context();
    if (template.isEmpty()) {
      return open.tokens().pair(query, document, most);
    }
    int at = template.indexOf(DOCUMENT);
    return open.tokens()
        .within(
            filled(template.substring(0, at), query),
            document,
            filled(template.substring(at + DOCUMENT.length()), query),
            most);
  }

  private static MarkedText filled(String template, String query) {
    int at = template.indexOf(QUERY);
    return at < 0
        ? MarkedText.control(template)
        : MarkedText.control(template.substring(0, at))
            .plus(MarkedText.input(query))
            .plus(MarkedText.control(template.substring(at + QUERY.length())));
  }

  /** The words around query and document: the file's, or the usual ones; empty for a bare pair. */
  private String template() {
    return open.templates().stream()
        .filter(t -> t.name().equals("rerank") && t.text() != null)
        .map(TemplateSource::text)
        .filter(Objects::nonNull)
        .filter(text -> text.contains(DOCUMENT))
        .findFirst()
        .orElse(open.encoder().spec().family().equals("qwen3") ? JUDGE : "");
  }

  @Override
  public void close() {
    open.close();
  }
}
