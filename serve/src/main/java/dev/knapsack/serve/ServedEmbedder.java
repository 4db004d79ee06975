package dev.knapsack.serve;

import dev.knapsack.Embedder;
import dev.knapsack.Embedding;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.file.ModelFile;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.text.Tokenizer;
import java.util.List;

/** An embedding model by the name that requests call it. */
public final class ServedEmbedder extends ServedEncoder {
  private final Embedder embedder;

  public ServedEmbedder(String name, Embedder embedder) {
    super(name);
    this.embedder = embedder;
  }

  public Embedder embedder() {
    return embedder;
  }

  /** The vectors of a request's texts, for whoever asked. */
  public List<Embedding> embed(Exchange exchange, EmbeddingRequest request) {
    return compute(exchange, () -> embedder.embed(request), ServedEmbedder::tokens);
  }

  /** Tokens that were read for vectors. */
  public static int tokens(List<Embedding> vectors) {
    return vectors.stream().mapToInt(Embedding::tokens).sum();
  }

  @Override
  public Kind kind() {
    return Kind.EMBEDDING;
  }

  @Override
  public Plan plan() {
    return embedder.plan();
  }

  @Override
  public Budget budget() {
    return embedder.budget();
  }

  @Override
  public ModelFile file() {
    return embedder.file();
  }

  @Override
  public ModelSpec spec() {
    return embedder.spec();
  }

  @Override
  public Tokenizer tokenizer() {
    return embedder.tokenizer();
  }
}
