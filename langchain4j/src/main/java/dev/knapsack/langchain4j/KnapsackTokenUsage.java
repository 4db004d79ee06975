package dev.knapsack.langchain4j;

import dev.langchain4j.model.output.TokenUsage;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A count of tokens that also says how many of the input were not computed again. */
public final class KnapsackTokenUsage extends TokenUsage {
  private final int cachedInputTokenCount;

  public KnapsackTokenUsage(int inputTokenCount, int outputTokenCount, int cachedInputTokenCount) {
    super(inputTokenCount, outputTokenCount);
    this.cachedInputTokenCount = cachedInputTokenCount;
  }

  /** Tokens of the input that earlier requests had computed. */
  public int cachedInputTokenCount() {
    return cachedInputTokenCount;
  }

  @Override
  public KnapsackTokenUsage add(@Nullable TokenUsage that) {
    if (that == null) {
      return this;
    }
    int cached = that instanceof KnapsackTokenUsage other ? other.cachedInputTokenCount : 0;
    return new KnapsackTokenUsage(
        sum(inputTokenCount(), that.inputTokenCount()),
        sum(outputTokenCount(), that.outputTokenCount()),
        cachedInputTokenCount + cached);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return super.equals(other)
        && other instanceof KnapsackTokenUsage that
        && cachedInputTokenCount == that.cachedInputTokenCount;
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), cachedInputTokenCount);
  }

  @Override
  public String toString() {
    return "KnapsackTokenUsage{inputTokenCount=%d, cachedInputTokenCount=%d, outputTokenCount=%d}"
        .formatted(inputTokenCount(), cachedInputTokenCount, outputTokenCount());
  }
}
