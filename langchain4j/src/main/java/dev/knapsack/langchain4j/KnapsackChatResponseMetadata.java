package dev.knapsack.langchain4j;

import dev.knapsack.generation.Usage;
import dev.langchain4j.model.chat.response.ChatResponseMetadata;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The metadata of an answer that also say what it took, and how it can be had again. */
public final class KnapsackChatResponseMetadata extends ChatResponseMetadata {
  private final Usage usage;
  private final long seed;

  private KnapsackChatResponseMetadata(Builder builder) {
    super(builder);
    this.usage = builder.usage;
    this.seed = builder.seed;
  }

  static Builder builder(Usage usage, long seed) {
    return new Builder(usage, seed);
  }

  /** The tokens and the time that it took. */
  public Usage usage() {
    return usage;
  }

  /** The seed that its tokens were drawn with; see {@link dev.knapsack.Generation#seed}. */
  public long seed() {
    return seed;
  }

  @Override
  public Builder toBuilder() {
    return (Builder) toBuilder(new Builder(usage, seed));
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return super.equals(other)
        && other instanceof KnapsackChatResponseMetadata that
        && usage.equals(that.usage)
        && seed == that.seed;
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), usage, seed);
  }

  @Override
  public String toString() {
    return "%s[usage=%s, seed=%d]".formatted(super.toString(), usage, seed);
  }

  /** Collects {@link KnapsackChatResponseMetadata}. */
  public static final class Builder extends ChatResponseMetadata.Builder<Builder> {
    private final Usage usage;
    private final long seed;

    private Builder(Usage usage, long seed) {
      this.usage = usage;
      this.seed = seed;
    }

    @Override
    public KnapsackChatResponseMetadata build() {
      return new KnapsackChatResponseMetadata(this);
    }
  }
}
