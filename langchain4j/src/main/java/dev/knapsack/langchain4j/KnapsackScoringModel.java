package dev.knapsack.langchain4j;

import dev.knapsack.Options;
import dev.knapsack.Reranker;
import dev.knapsack.host.Host;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.model.output.TokenUsage;
import dev.langchain4j.model.scoring.ScoringModel;
import java.util.Arrays;
import java.util.List;

/**
 * LangChain4j's scoring model over a reranker in this process, such as its {@code
 * ReRankingContentAggregator} uses: how well segments answer a query, from 0 to 1 unless the
 * model's own numbers are asked for. What is too long is cut. Safe for use by many threads.
 */
public final class KnapsackScoringModel implements ScoringModel, AutoCloseable {
  private final Reranker reranker;
  private final boolean owned;
  private final boolean raw;

  private KnapsackScoringModel(EncoderBuilder.Held<Reranker> held, boolean raw) {
    this.reranker = held.model();
    this.owned = held.owned();
    this.raw = raw;
  }

  public static Builder builder() {
    return new Builder();
  }

  @Override
  public Response<List<Double>> scoreAll(List<TextSegment> segments, String query) {
    List<Reranker.Score> ranked;
    try {
      ranked = reranker.rank(query, segments.stream().map(TextSegment::text).toList());
    } catch (RuntimeException e) {
      throw Failures.answering(e);
    }
    Double[] scores = new Double[segments.size()];
    for (Reranker.Score score : ranked) {
      scores[score.index()] = raw ? score.score() : score.probability();
    }
    int tokens = ranked.stream().mapToInt(Reranker.Score::tokens).sum();
    return Response.from(Arrays.asList(scores), new TokenUsage(tokens, 0, tokens));
  }

  /** The model itself. */
  public Reranker reranker() {
    return reranker;
  }

  /** Closes the model, if it was opened for this. */
  @Override
  public void close() {
    if (owned) {
      reranker.close();
    }
  }

  /** Collects what a {@link KnapsackScoringModel} is made of. */
  public static final class Builder extends EncoderBuilder<Reranker, Builder> {
    private boolean raw;

    private Builder() {}

    @Override
    Builder self() {
      return this;
    }

    @Override
    Reranker open(String place, ClassLoader known, Host in, Options how) {
      return Reranker.open(place, known, in, how);
    }

    /** A model that is open; who opened it closes it, and others may use it beside this. */
    public Builder reranker(Reranker value) {
      return opened(value);
    }

    /** Says whether scores are the model's own numbers; false by default. */
    public Builder rawScores(boolean value) {
      raw = value;
      return this;
    }

    /**
     * The scoring model.
     *
     * @throws dev.langchain4j.exception.ModelNotFoundException if the model's file cannot be used
     * @throws dev.langchain4j.exception.NonRetriableException if it does not fit the budget
     */
    public KnapsackScoringModel build() {
      return new KnapsackScoringModel(held(), raw);
    }
  }
}
