package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvPromise;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.SharedPrefix;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.SpillException;
import dev.knapsack.model.Run;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A sequence that is kept between requests: a request that begins with the same tokens as the one
 * before computes only what is new, such as the next turn of a chat.
 *
 * <p>It answers one request at a time. While it does not answer, its memory may go to another
 * sequence that needs it; then the next request computes its whole prompt again.
 */
public final class Session implements AutoCloseable {
  private final Scheduler scheduler;

  // What follows is used on the engine's thread alone.

  /** The tokens of the sequence: those that the cache holds, and those it is to hold next. */
  Tokens tokens = new Tokens(16);

  /** Tokens that the sequence may have. */
  int capacity;

  @Nullable SequenceState state;

  /** The bytes of {@link #capacity} tokens, but for those that are shared. */
  @Nullable KvPromise promise;

  /** The part of the sequence that other sequences may share. */
  @Nullable SharedPrefix shared;

  /** Blocks that it may share at most: it never forgets them while it answers. */
  int shareable;

  /** True where it goes on from what a store had: that may be of lower precision. */
  boolean restored;

  /** True where what is computed for it may not depend on what is computed beside it. */
  private boolean own;

  /** Tokens of its beginning that are a prompt; those after them were written one by one. */
  private int prompt;

  /** Tokens of its beginning that were computed as a prompt that depends on no other is. */
  private int exact;

  @Nullable Answer answering;
  boolean closed;

  /** The last time it began to answer, in the count of {@link Admission}. */
  long lastUsed;

  Session(Scheduler scheduler) {
    this.scheduler = scheduler;
  }

  /**
   * Begins an answer, which is written from now on; while all sequences are busy, it waits.
   *
   * @throws ContextExceededException if the prompt does not fit in the context
   * @throws dev.knapsack.error.BudgetExceededException if its cache does not fit in the budget
   * @throws QueueFullException if it would have to wait for a sequence, and too many do
   * @throws IllegalStateException if the last answer of this session has not ended
   */
  public Answer start(Request request) {
    KvPool pool = scheduler.pool(request);
    return scheduler.loop().ask(() -> scheduler.start(this, request, pool));
  }

  /** Tokens that are cached now. */
  public int cachedTokens() {
    return scheduler.loop().settle(() -> state == null ? 0 : state.length());
  }

  /**
   * Saves what is cached, for this session or another one to go on with: in 4 bit where that is
   * smaller, but for the last page of tokens. No step is computed meanwhile.
   *
   * @return bytes of the file; 0 if nothing is cached, and nothing was saved
   * @throws dev.knapsack.error.CacheNotSavedException if there is no room for it, or it cannot be
   *     written; what had the name before is still there
   * @throws IllegalStateException if it is answering
   */
  public long save(CacheStore store, String name) {
    return save(store, name, CacheStore.Precision.FOUR_BIT);
  }

  /** Saves what is cached in this precision; see {@link #save(CacheStore, String)}. */
  public long save(CacheStore store, String name, CacheStore.Precision precision) {
    return scheduler.loop().alone(() -> scheduler.save(this, store, name, precision));
  }

  /**
   * Takes up what was saved, in place of what this session holds: a request that begins with the
   * same tokens computes only what is new. If it throws, the session is empty, and the next request
   * computes its whole prompt.
   *
   * @return tokens that are cached now
   * @throws dev.knapsack.error.CacheFileException if there is none, or it is damaged or not of this
   *     model opened like this
   * @throws dev.knapsack.error.BudgetExceededException if its cache does not fit in the budget
   * @throws QueueFullException if all sequences are answering
   * @throws IllegalStateException if it is answering
   */
  public int restore(CacheStore store, String name) {
    return scheduler.loop().alone(() -> scheduler.restore(this, store, name));
  }

  /**
   * Makes this session hold these tokens with random keys and values, in place of what it holds:
   * for measurements, which take as long whatever was said. Seconds, where reading takes minutes;
   * what is answered after these tokens means nothing.
   *
   * @throws ContextExceededException if they do not fit in the context with one more
   * @throws dev.knapsack.error.BudgetExceededException if their cache does not fit in the budget
   * @throws QueueFullException if all sequences are answering
   * @throws IllegalStateException if it is answering
   */
  public void fill(int[] tokens) {
    scheduler.loop().alone(() -> scheduler.fill(this, tokens));
  }

  /** Ends what it is answering and gives its memory back. */
  @Override
  public void close() {
    scheduler.loop().settle(() -> scheduler.close(this));
  }

  // For the engine's thread.

  SequenceState state() {
    if (state == null) {
      throw new IllegalStateException("This session has no sequence");
    }
    return state;
  }

  /** Gives it what it needs to hold a sequence, whose cache begins with what is shared. */
  void hold(SequenceState begun, KvPromise bytes, SharedPrefix prefix, int[] prompt) {
    state = begun;
    promise = bytes;
    shared = prefix;
    tokens.truncate(0);
    tokens.addAll(Arrays.copyOf(prompt, prefix.tokens()));
    exact = prefix.exactTokens();
  }

  /**
   * Says whether it can go on with this prompt in this layout: what it shares, it keeps. Others pay
   * for that, and what it had to compute again it might have no room for.
   */
  boolean continues(KvLayout layout, String salt, int[] prompt, int mayShare) {
    int held = kept(prompt);
    return layout.equals(state().layout())
        && (restored || shared == null || shared.salt().equals(salt))
        && (shared == null || (shared.blocks() <= mayShare && shared.tokens() <= held));
  }

  /**
   * Goes back in what it shares to where it can go on with this prompt, if it has room for what it
   * is to pay for then.
   *
   * @param elsewhere tokens of the prompt that are to be had in another way
   */
  boolean leaves(KvLayout layout, String salt, int[] prompt, int elsewhere) {
    int held = kept(prompt);
    return layout.equals(state().layout())
        && held > elsewhere
        && shared != null
        && shared.salt().equals(salt)
        && promise != null
        && shared.leave(held, promise);
  }

  /** Tokens of a prompt that are cached and can be kept. */
  private int kept(int[] prompt) {
    // The last token is always computed: its logits are not kept.
    int common =
        Math.min(Math.min(tokens.commonPrefix(prompt), prompt.length - 1), state().length());
    return state().nearest(common);
  }

  private int[] block(int block) {
    int page = state().layout().pageTokens();
    return tokens.slice(block * page, (block + 1) * page);
  }

  /**
   * Shares what another sequence has computed, now or before.
   *
   * @param bytes bytes that may be read for that now
   * @return tokens that need not be computed
   */
  int advance(long bytes) {
    if (shared == null || promise == null) {
      return 0;
    }
    int most = Math.min(shareable, (tokens.size() - 1) / state().layout().pageTokens());
    int found = shared.advance(state(), promise, this::block, most, own, bytes);
    if (found > 0) {
      exact = Math.min(shared.exactTokens(), prompt);
    }
    return found;
  }

  /** Says whether its next tokens are being read, and need not be computed. */
  boolean isReading() {
    return shared != null && shared.isReading();
  }

  /**
   * After a step: shares what is complete, and frees what is not needed.
   *
   * @param run what the step computed for it
   */
  void settle(Run run) {
    state().kv().encode();
    if (run.kind() == Run.Kind.PROMPT && exact == state().length() - run.added()) {
      exact = state().length();
    }
    if (shared != null && promise != null) {
      int blocks = shared.blocks();
      shared.extend(state(), promise, this::block, shareable, exact, own);
      if (answering != null && shared.blocks() != blocks) {
        answering.holds(promise.bytes()); // the tree pays for more of it
      }
      if (shared.exactTokens() < shared.tokens()) {
        exact = Math.min(exact, shared.exactTokens());
      }
    }
    state().compress();
  }

  /** Tokens that are yet to be computed. */
  int pending() {
    return tokens.size() - state().length();
  }

  /**
   * Makes a prompt the sequence's tokens, and keeps what is cached of its beginning.
   *
   * @param own whether what is computed from now on may not depend on what is computed beside it
   * @return tokens that are cached
   */
  int begin(int[] tokens, boolean own) {
    int kept = 0;
    try {
      kept = state().back(kept(tokens));
    } catch (SpillException e) {
      // It is empty now, and all of it is computed again.
    }
    this.own = own;
    becomePrompt(tokens);
    return kept;
  }

  private void becomePrompt(int[] all) {
    if (shared != null) {
      shared.stopReading();
    }
    tokens.truncate(0);
    tokens.addAll(all);
    state().prompt(all.length);
    prompt = all.length;
    exact = Math.min(exact, state().length());
  }

  /** The computation of the next tokens, with logits if no more are to come. */
  Run run(Chunk next) {
    int from = state().length();
    int n = next.tokens();
    int logits = n == pending() ? 1 : 0;
    Run run =
        next.ahead() == 0
            ? new Run(state(), tokens.slice(from, from + n), 0, n, logits)
            : Run.ahead(state(), tokens.slice(0, from + n), from, from + n, logits, next.ahead());
    return run.withKind(kind());
  }

  /** The kind of the next run. */
  Run.Kind kind() {
    return !own ? Run.Kind.SHARED : isWriting() ? Run.Kind.WRITTEN : Run.Kind.PROMPT;
  }

  /** Says whether the next token is one that was written. */
  private boolean isWriting() {
    return state().length() >= prompt;
  }

  /** Takes over another's tokens and what is cached of them, to go on alone from there. */
  void become(Session other) {
    state().close();
    state = other.state().fork();
    if (shared != null && other.shared != null && promise != null) {
      shared.close();
      shared = other.shared.fork(promise);
    }
    tokens.truncate(0);
    tokens.addAll(other.tokens.slice(0, other.tokens.size()));
    prompt = other.prompt;
    exact = other.exact;
  }

  /** Forgets the middle: all but the first {@code keep} tokens and the last half of the others. */
  void shift(int keep) {
    int size = tokens.size();
    int[] head = tokens.slice(0, keep);
    int[] tail = tokens.slice(size - (size - keep) / 2, size);
    state().back(keep);
    becomePrompt(IntStream.concat(Arrays.stream(head), Arrays.stream(tail)).toArray());
  }

  /** Forgets the sequence and gives its memory back; how many bytes that was. */
  long release() {
    long bytes = 0;
    if (promise != null) {
      bytes = promise.bytes();
      promise.close();
      promise = null;
    }
    if (state != null) {
      if (shared != null) {
        shared.inherit(state);
      }
      state.close();
      state = null;
    }
    if (shared != null) {
      shared.close();
      shared = null;
    }
    tokens.truncate(0);
    prompt = 0;
    exact = 0;
    restored = false;
    return bytes;
  }
}
