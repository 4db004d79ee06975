package dev.knapsack.serve;

import dev.knapsack.Reranker;
import dev.knapsack.file.ModelFile;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.text.Tokenizer;
import java.util.List;

/** A reranker by the name that requests call it. */
public final class ServedReranker extends ServedEncoder {
  private final Reranker reranker;

  public ServedReranker(String name, Reranker reranker) {
    super(name);
    this.reranker = reranker;
  }

  public Reranker reranker() {
    return reranker;
  }

  /** The documents' scores, the best first, for whoever asked. */
  List<Reranker.Score> rank(Exchange exchange, String query, List<String> documents) {
    return compute(exchange, () -> reranker.rank(query, documents), ServedReranker::tokens);
  }

  /** Tokens that were read for scores. */
  static int tokens(List<Reranker.Score> scores) {
    return scores.stream().mapToInt(Reranker.Score::tokens).sum();
  }

  @Override
  public Kind kind() {
    return Kind.RERANK;
  }

  @Override
  public Plan plan() {
    return reranker.plan();
  }

  @Override
  public Budget budget() {
    return reranker.budget();
  }

  @Override
  public ModelFile file() {
    return reranker.file();
  }

  @Override
  public ModelSpec spec() {
    return reranker.spec();
  }

  @Override
  public Tokenizer tokenizer() {
    return reranker.tokenizer();
  }
}
