package dev.knapsack.eval;

import dev.knapsack.Knapsack;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Reading;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Asks a model, greedily and token by token, what it has been read to: whoever asks sees every
 * prediction, and what the steps took.
 */
final class Asker {
  /**
   * An answer as it was written.
   *
   * @param ended whether the model ended it, and not the most tokens that it could have
   */
  record Written(List<Integer> tokens, boolean ended) {
    /** Predictions along it: that of its end is one, if the model ended it. */
    int predictions() {
      return tokens.size() + (ended ? 1 : 0);
    }
  }

  /** Is told of every prediction. */
  interface Use {
    /**
     * @param token how many tokens an answer has before; along a text, the token that comes
     */
    void accept(int token, MemorySegment logits) throws IOException;
  }

  private final Knapsack model;
  private final Engine engine;
  private final Set<Integer> ends;

  /** The logits of the last token read. */
  private final MemorySegment logits;

  private final Distribution next;
  private long stepNanos;
  private long steps;
  private long fetchedBytes;

  Asker(Knapsack model) {
    this.model = model;
    this.engine = model.engine();
    this.ends = new HashSet<>(model.tokenizer().endTokens());
    int vocabulary = model.spec().vocabulary();
    this.logits = MemorySegment.ofArray(new float[vocabulary]);
    this.next = new Distribution(vocabulary);
  }

  /** Reads what comes before questions. */
  Reading read(int[] prompt) {
    return engine.read(prompt, (_, row) -> take(row));
  }

  /** Takes up what was read before questions, as it was saved. */
  Reading restore(CacheStore store, String name) {
    return engine.restore(store, name);
  }

  /** Reads on, if there is more. */
  void readAll(Reading reading, int[] tokens) {
    if (tokens.length > 0) {
      reading.read(tokens, (_, row) -> take(row));
    }
  }

  private void take(MemorySegment row) {
    MemorySegment.copy(row, 0, logits, 0, logits.byteSize());
    next.of(logits);
  }

  /** Reads one token on, and keeps the time. */
  private void step(Reading reading, int token) {
    long begin = System.nanoTime();
    readAll(reading, new int[] {token});
    stepNanos += System.nanoTime() - begin;
    steps++;
  }

  /** Bytes that what has been read takes now, as the account has them. */
  long leased() {
    return model.budget().account("kv/readings").used();
  }

  /** Tokens a second that answers were written at; 0 if none was. */
  double tokensPerSecond() {
    return steps == 0 ? 0 : steps / (stepNanos / 1e9);
  }

  /** The prediction of the next token. */
  Distribution next() {
    return next;
  }

  /** The text of an answer, without blanks around it. */
  String text(List<Integer> tokens) {
    int[] ids = tokens.stream().mapToInt(Integer::intValue).toArray();
    return model.tokenizer().decode(ids, false).strip();
  }

  /** The answer to what has been read, which goes on meanwhile. */
  Written write(Reading reading, int most, Use use) throws IOException {
    return write(reading, List.of(), most, use);
  }

  private Written write(Reading reading, List<Integer> begun, int most, Use use)
      throws IOException {
    List<Integer> written = new ArrayList<>(begun);
    while (true) {
      use.accept(written.size(), logits);
      if (ends.contains(next.best())) {
        return new Written(List.copyOf(written), true);
      }
      written.add(next.best());
      if (written.size() == most) {
        return new Written(List.copyOf(written), false);
      }
      step(reading, next.best());
    }
  }

  /** The answer to a question that is asked of what has been read, which stays as it is. */
  Written answer(Reading reading, int[] question, int most) throws IOException {
    try (Reading on = reading.fork()) {
      readAll(on, question);
      Written written = write(on, most, (_, _) -> {});
      fetchedBytes = on.fetchedBytes();
      return written;
    }
  }

  /** Bytes of what the last {@link #answer} had read again from disk, at most. */
  long fetchedBytes() {
    return fetchedBytes;
  }

  /**
   * Reads an answer that another has given, and writes its own: as far as both are one, at once.
   *
   * @param use is told of the predictions along the other's answer
   */
  Written follow(Reading reading, Written other, int most, Use use) throws IOException {
    List<Integer> path = other.tokens;
    @Nullable Written own = null;
    for (int t = 0; t < other.predictions(); t++) {
      use.accept(t, logits);
      int best = next.best();
      boolean same = t < path.size() ? best == path.get(t) : ends.contains(best);
      if (own == null && !same) {
        own = branch(reading, path.subList(0, t), most);
      }
      if (t + 1 < other.predictions()) {
        step(reading, path.get(t));
      }
    }
    return own == null ? other : own;
  }

  /** The answer that leaves another at a token; what is expected next is as it was afterwards. */
  private Written branch(Reading reading, List<Integer> begun, int most) throws IOException {
    float[] kept = logits.toArray(ValueLayout.JAVA_FLOAT);
    try (Reading branch = reading.fork()) {
      return write(branch, begun, most, (_, _) -> {});
    } finally {
      take(MemorySegment.ofArray(kept));
    }
  }

  /**
   * Reads a passage, up to what is scored as a prompt and then token by token.
   *
   * @param use is told of the predictions of the tokens that are scored
   */
  void read(Passage passage, Use use) throws IOException {
    int[] tokens = passage.tokens();
    try (Reading reading = read(Arrays.copyOf(tokens, passage.first() + 1))) {
      for (int next = passage.first() + 1; next < tokens.length; next++) {
        use.accept(tokens[next], logits);
        if (next + 1 < tokens.length) {
          step(reading, tokens[next]);
        }
      }
    }
  }

  /** Scores an answer token by token; what is expected next is as it was afterwards. */
  void score(Reading reading, int[] answer, Perplexity.Score score) {
    float[] kept = logits.toArray(ValueLayout.JAVA_FLOAT);
    try (Reading branch = reading.fork()) {
      for (int t = 0; t < answer.length; t++) {
        score.add(next.logProbability(answer[t]));
        if (t + 1 < answer.length) {
          step(branch, answer[t]);
        }
      }
    } finally {
      take(MemorySegment.ofArray(kept));
    }
  }
}
