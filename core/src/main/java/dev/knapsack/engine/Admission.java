package dev.knapsack.engine;

import dev.knapsack.cache.KvPool;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.BudgetExceededException;
import dev.knapsack.memory.Lease;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Who has a sequence, and who waits for one: first come, first served.
 *
 * <p>At most as many sessions hold memory as the plan allows. A session that answers keeps what it
 * has; that of an idle one goes to whoever needs it. When that is not enough a request waits, and
 * when too many wait it is refused. Guarded by the scheduler's lock.
 */
final class Admission {
  /**
   * Answers to one prompt, which get their sequences together.
   *
   * @param capacity tokens that each sequence may have
   */
  record Group(List<Answer> answers, int capacity) {}

  private final KvPool pool;
  private final Account account;
  private final Scheduler.Limits limits;

  /** Sessions that hold memory. */
  private final List<Session> holders = new ArrayList<>();

  private final Deque<Group> queue = new ArrayDeque<>();
  private long clock;

  Admission(KvPool pool, Account account, Scheduler.Limits limits) {
    this.pool = pool;
    this.account = account;
    this.limits = limits;
  }

  /**
   * Gives a group its sequences, or a place in the queue.
   *
   * @return whether it has its sequences
   * @throws QueueFullException if it would have to wait, and too many do
   * @throws BudgetExceededException if its memory does not fit, and no answer's end would help
   */
  boolean enter(Group group) {
    boolean admitted = queue.isEmpty() && admit(group);
    if (!admitted) {
      if (queue.size() >= limits.queue()) {
        throw new QueueFullException(queue.size(), limits.sequences());
      }
      queue.add(group);
    }
    for (Answer answer : group.answers()) {
      answer.waiting = !admitted;
      answer.session.answering = answer;
    }
    return admitted;
  }

  /** The next group whose turn has come, with its sequences; null if none waits or all must. */
  @Nullable Group next() {
    while (true) {
      Group head = queue.peek();
      BudgetExceededException refusal = null;
      try {
        if (head == null || !admit(head)) {
          return null;
        }
      } catch (BudgetExceededException e) {
        refusal = e;
      }
      queue.remove();
      head.answers().forEach(a -> a.waiting = false);
      if (refusal == null) {
        return head;
      }
      for (Answer answer : head.answers()) {
        answer.fail(refusal);
        answer.session.answering = null;
      }
    }
  }

  /** Takes an answer out of the queue, if it is there. */
  void leave(Answer answer) {
    if (answer.waiting) {
      answer.waiting = false;
      queue.forEach(group -> group.answers().remove(answer));
      queue.removeIf(group -> group.answers().isEmpty());
    }
  }

  /** Requests that wait. */
  int waiting() {
    return queue.size();
  }

  /** The answers that wait, in their order. */
  List<Answer> waitingAnswers() {
    return queue.stream().flatMap(group -> group.answers().stream()).toList();
  }

  /** Gives a group what it needs, all of it or nothing. */
  private boolean admit(Group group) {
    List<Session> sessions = group.answers().stream().map(a -> a.session).toList();
    return admit(sessions, group.capacity());
  }

  /**
   * Gives sessions the memory that they lack, all of it or nothing.
   *
   * @param capacity tokens that each sequence may have
   * @return false if it must wait until an answer has ended
   */
  boolean admit(List<Session> sessions, int capacity) {
    List<Session> needy = sessions.stream().filter(s -> s.cache == null).toList();
    long idle = holders.stream().filter(Admission::isIdle).count();
    if (limits.sequences() - holders.size() + idle < needy.size()) {
      return false;
    }
    while (limits.sequences() - holders.size() < needy.size()) {
      releaseIdle(1);
    }
    long bytes = pool.layout().bytes(capacity, limits.chunk());
    List<Lease> promises = new ArrayList<>();
    try {
      while (promises.size() < needy.size()) {
        promises.add(account.reserve(bytes));
      }
    } catch (BudgetExceededException e) {
      promises.forEach(Lease::close);
      if (holders.stream().allMatch(Admission::isIdle)) {
        throw e;
      }
      return false; // there may be room when an answer has ended
    }
    for (Session session : needy) {
      session.promise = promises.removeLast();
      session.cache = pool.cache();
      session.capacity = capacity;
      holders.add(session);
    }
    sessions.forEach(s -> s.lastUsed = ++clock);
    return true;
  }

  private static boolean isIdle(Session session) {
    return !session.moving && (session.answering == null || session.answering.waiting);
  }

  /**
   * Takes the memory of idle sessions, of the one that answered longest ago first.
   *
   * @param bytes bytes to give back, if there are as many
   * @return bytes given back
   */
  long releaseIdle(long bytes) {
    long given = 0;
    List<Session> idle =
        holders.stream()
            .filter(Admission::isIdle)
            .sorted(Comparator.comparingLong(s -> s.lastUsed))
            .toList();
    for (int i = 0; i < idle.size() && given < bytes; i++) {
      given += release(idle.get(i));
    }
    return given;
  }

  /** Takes a session's memory from it; how many bytes that was. */
  long release(Session session) {
    holders.remove(session);
    return session.release();
  }
}
