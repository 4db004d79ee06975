package dev.knapsack.engine;

import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.ContextExceededException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A prompt that has been read, to go on from again and again: many questions about one document,
 * whose cache was brought to its size before any of them was asked.
 *
 * <p>What is read after the prompt is no prompt to the cache's policy: it is cached as the tokens
 * of an answer are. Pages are leased as they are needed, in the account {@code kv/readings}, beside
 * what is promised to sequences, and {@linkplain #fork forks} share them. While tokens are read the
 * model computes nothing else. Used by one thread at a time, together with its forks; all of them
 * are to be closed before the engine.
 */
public final class Reading implements AutoCloseable {
  /** The pages of a reading and its forks: closed with the last of these. */
  private static final class Pages {
    final KvPool pool;
    int holders;

    Pages(KvPool pool) {
      this.pool = pool;
    }
  }

  private final Engine engine;
  private final Pages pages;
  private final SequenceState state;
  private final Tokens tokens = new Tokens(16);

  /** Of the last token that was read. */
  private float[] logits = new float[0];

  private long peak;
  private long fetched;
  private boolean closed;

  private Reading(Engine engine, Pages pages, SequenceState state) {
    this.engine = engine;
    this.pages = pages;
    this.state = state;
    pages.holders++;
  }

  /** A reading that has read nothing. */
  static Reading begin(Engine engine, KvPool pool) {
    return new Reading(engine, new Pages(pool), pool.sequence());
  }

  void readPrompt(int[] prompt, int[] patch, Engine.LogitsUse last) {
    state.kv().text().patch(patch);
    state.prompt(prompt.length);
    read(prompt, last);
  }

  /**
   * Reads what follows.
   *
   * @param more token ids, at least one
   * @param last is given the logits of the last of them
   * @throws ContextExceededException if there are more tokens then than the plan's context
   * @throws dev.knapsack.error.BudgetExceededException if the budget has no room for them
   */
  public void read(int[] more, Engine.LogitsUse last) {
    checkOpen();
    if (more.length == 0) {
      throw new IllegalArgumentException("Nothing is to be read; give at least one token.");
    }
    int context = engine.plan().context();
    if (more.length > context - state.length()) {
      throw new ContextExceededException(state.length() + more.length, context);
    }
    for (int token : more) {
      if (token < 0 || token >= engine.spec().vocabulary()) {
        throw new IllegalArgumentException(
            "Token %d is none of the vocabulary's %,d"
                .formatted(token, engine.spec().vocabulary()));
      }
    }
    Passage passage =
        new Passage(state, more, more.length - 1, engine.plan().prefillChunk(), this::measureBytes);
    while (passage.done() < more.length) {
      engine.computing(() -> {
        step(passage, more);
        return true;
      });
    }
    last.accept(state.length() - 1, MemorySegment.ofArray(logits));
  }

  /** Computes the next tokens, on the engine's thread. */
  private void step(Passage passage, int[] more) {
    int from = passage.done();
    // Others compute before they are used.
    engine.step(passage).forEach((_, row) -> logits = row.toArray(ValueLayout.JAVA_FLOAT));
    pages.pool.compact();
    tokens.addAll(Arrays.copyOfRange(more, from, passage.done()));
  }

  private void measureBytes() {
    peak = Math.max(peak, bytes());
    fetched = Math.max(fetched, state.kv().spill().fetchedBytes());
  }

  /** Tokens that have been read, kept or not. */
  public int tokens() {
    return state.length();
  }

  /** Bytes that its pages and those of its forks take of the account: each page once. */
  public long bytes() {
    return pages.pool.leasedBytes();
  }

  /** The most that {@link #bytes} was, when a step had been computed and nothing evicted yet. */
  public long peakBytes() {
    return peak;
  }

  /**
   * The most bytes of pages, since it began or was forked, with tokens that the policy has had read
   * again from disk.
   */
  public long fetchedBytes() {
    return fetched;
  }

  /** A second one that has read the same, and goes on by itself. */
  public Reading fork() {
    checkOpen();
    Reading fork = engine.loop().ask(() -> new Reading(engine, pages, state.fork()));
    fork.tokens.addAll(tokens.slice(0, tokens.size()));
    fork.peak = peak;
    fork.fetched = state.kv().spill().fetchedBytes();
    return fork;
  }

  /**
   * Saves what is cached, for {@link Engine#restore} of an engine that opens this model like this.
   *
   * @return bytes of the file
   * @throws dev.knapsack.error.CacheNotSavedException if there is no room for it, it cannot be
   *     written, or the policy remembers what no store keeps
   */
  public long save(CacheStore store, String name, CacheStore.Precision precision) {
    checkOpen();
    return engine
        .loop()
        .alone(() ->
            store.save(
                name, state, tokens.slice(0, tokens.size()), engine.fingerprint(), precision));
  }

  void restore(CacheStore store, String name) {
    tokens.addAll(
        engine
            .loop()
            .alone(() -> {
              int[] restored =
                  store.restore(
                      name,
                      state,
                      engine.fingerprint(),
                      engine.plan().context() - 1,
                      engine.spec().vocabulary());
              state.prompt(state.length());
              return restored;
            }));
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("Reading used after close");
    }
  }

  /** Gives back what no fork shares. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    engine
        .loop()
        .settle(() -> {
          state.close();
          if (--pages.holders == 0) {
            pages.pool.close();
          } else {
            pages.pool.compact();
          }
        });
  }
}
