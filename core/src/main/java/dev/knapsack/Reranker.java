package dev.knapsack;

import dev.knapsack.engine.TextEncoder;
import dev.knapsack.engine.TextTokens;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TemplateSource;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.Tokenizer;
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
   * @param score the model's own number, the larger the better; of BERT's kin any number, of Qwen 3
   *     the probability itself
   * @param probability the score as a number between 0 and 1: the logistic function of it, where it
   *     is not one by itself
   * @param tokens tokens that were read of query and document
   * @param cut whether they had more than the model reads at once
   */
  public record Score(int index, double score, double probability, int tokens, boolean cut) {}

  private Reranker(OpenEncoder open) {
    this.open = open;
  }

  /**
   * Opens a model as asked for, beside what else is open in a host.
   *
   * @throws dev.knapsack.error.ModelFileException if it cannot be read, is not supported, or is no
   *     reranker
   * @throws dev.knapsack.error.PlanDoesNotFitException if it fits in the budget in no way
   */
  public static Reranker open(Path model, Host host, Options options) {
    return new Reranker(OpenEncoder.open(ModelFile.open(model), host, options, true));
  }

  /** Opens a model in a file, or one that is a resource of the program: {@code classpath:}. */
  public static Reranker open(String location, ClassLoader resources, Host host, Options options) {
    return new Reranker(OpenEncoder.open(ModelFile.open(location, resources), host, options, true));
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

  /** The model's file; for modules of Knapsack itself, to which alone its type is known. */
  public ModelFile file() {
    return open.file();
  }

  /** The model's shape; likewise. */
  public ModelSpec spec() {
    return open.encoder().spec();
  }

  /** The model's tokenizer; likewise. */
  public Tokenizer tokenizer() {
    return open.tokenizer();
  }

  /** The documents' scores, the best first; of equal ones the earlier first. */
  public List<Score> rank(String query, List<String> documents) {
    List<TextTokens.Input> inputs = new ArrayList<>();
    List<CompletableFuture<float[]>> results = new ArrayList<>();
    List<Score> scores = new ArrayList<>();
    String template = template();
    try {
      for (String document : documents) {
        TextTokens.Input input = input(template, query, document);
        inputs.add(input);
        results.add(open.encoder().submit(input.tokens()));
      }
      for (int i = 0; i < inputs.size(); i++) {
        scores.add(score(i, TextEncoder.await(results.get(i))[0], inputs.get(i)));
      }
    } finally {
      results.forEach(left -> left.cancel(false)); // where something was thrown
    }
    scores.sort(Comparator.comparingDouble(Score::score).reversed());
    return scores;
  }

  private Score score(int index, double score, TextTokens.Input input) {
    return new Score(
        index,
        score,
        shares() ? score : 1 / (1 + Math.exp(-score)),
        input.tokens().length,
        input.cut());
  }

  /** Says whether the model's head ends with shares of all answers, which are probabilities. */
  private boolean shares() {
    Encoding encoding = spec().encoding();
    return encoding != null
        && !encoding.head().isEmpty()
        && encoding.head().getLast() instanceof Encoding.Shares;
  }

  private TextTokens.Input input(String template, String query, String document) {
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
