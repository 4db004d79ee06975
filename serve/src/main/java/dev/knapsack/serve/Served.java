package dev.knapsack.serve;

import dev.knapsack.file.ModelFile;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.time.Instant;

/** A model by the name that requests call it, of whichever kind. */
public sealed interface Served permits ServedModel, ServedEncoder {
  /** The three kinds of requests that a model can be for. */
  enum Kind {
    CHAT("chat", "a chat model", "/v1/chat/completions and its like ask it"),
    EMBEDDING("embedding", "an embedding model", "/v1/embeddings and /api/embed ask it"),
    RERANK("rerank", "a reranker", "/v1/rerank asks it");

    private final String word;
    private final String is;
    private final String askedBy;

    Kind(String word, String is, String askedBy) {
      this.word = word;
      this.is = is;
      this.askedBy = askedBy;
    }

    /** A word for programs. */
    public String word() {
      return word;
    }

    /** The kind with its article. */
    String is() {
      return is;
    }

    /** The paths for models of this kind. */
    String askedBy() {
      return askedBy;
    }
  }

  String name();

  Kind kind();

  /** The time since which it is served. */
  Instant opened();

  Plan plan();

  Budget budget();

  ModelFile file();

  ModelSpec spec();

  Tokenizer tokenizer();

  /** Tokens that were computed since it was opened. */
  long tokens();

  /** Says whether it computes nothing for anybody now. */
  boolean isIdle();
}
