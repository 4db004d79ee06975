package dev.knapsack.engine;

import dev.knapsack.cache.KvPool;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.BudgetExceededException;
import dev.knapsack.memory.Lease;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Who has a sequence: the sessions that hold memory, at most as many as the plan allows.
 *
 * <p>A session that answers keeps what it has; that of an idle one goes to whoever needs it.
 * Guarded by the scheduler's lock.
 */
final class Admission {
  private final KvPool pool;
  private final Account account;
  private final Scheduler.Limits limits;

  /** Sessions that hold memory. */
  private final List<Session> holders = new ArrayList<>();

  private long clock;

  Admission(KvPool pool, Account account, Scheduler.Limits limits) {
    this.pool = pool;
    this.account = account;
    this.limits = limits;
  }

  /**
   * Gives an answer's session memory for a sequence, that of idle sessions if need be.
   *
   * @param capacity tokens that the sequence may have
   */
  void admit(Answer answer, int capacity) {
    Session session = answer.session;
    if (session.cache == null) {
      session.promise = reserve(capacity);
      session.cache = pool.cache();
      session.capacity = capacity;
      holders.add(session);
    }
    session.answering = answer;
    session.lastUsed = ++clock;
  }

  private Lease reserve(int capacity) {
    while (true) {
      if (holders.size() < limits.sequences()) {
        try {
          return account.reserve(pool.layout().bytes(capacity, limits.chunk()));
        } catch (BudgetExceededException e) {
          if (!releaseIdle()) {
            throw e;
          }
        }
      } else if (!releaseIdle()) {
        throw new SequencesExceededException(1, holders.size(), limits.sequences());
      }
    }
  }

  private boolean releaseIdle() {
    Optional<Session> idle =
        holders.stream()
            .filter(s -> s.answering == null)
            .min(Comparator.comparingLong(s -> s.lastUsed));
    idle.ifPresent(this::release);
    return idle.isPresent();
  }

  /** Takes a session's memory from it. */
  void release(Session session) {
    session.release();
    holders.remove(session);
  }

  /** Takes the memory of all sessions. */
  void releaseAll() {
    List.copyOf(holders).forEach(this::release);
  }
}
