package dev.knapsack.engine;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvPromise;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.SharedPrefix;
import dev.knapsack.cache.SpillException;
import dev.knapsack.memory.BudgetExceededException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
  private final PrefixTree prefixes;
  private final Scheduler.Limits limits;

  /** Sessions that hold memory. */
  private final List<Session> holders = new ArrayList<>();

  private final Deque<Group> queue = new ArrayDeque<>();
  private long clock;

  Admission(KvPool pool, PrefixTree prefixes, Scheduler.Limits limits) {
    this.pool = pool;
    this.prefixes = prefixes;
    this.limits = limits;
  }

  /**
   * Gives a group its sequences, or a place in the queue.
   *
   * @return whether it has its sequences
   * @throws QueueFullException if it would have to wait, and too many do
   * @throws BudgetExceededException if its memory does not fit, and no answer's end would help
   * @throws SpillException if the disk has no room for what memory has none for
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
      RuntimeException refusal = null;
      try {
        if (head == null || !admit(head)) {
          return null;
        }
      } catch (BudgetExceededException | SpillException e) {
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
    for (Answer answer : group.answers()) {
      Session session = answer.session;
      if (session.cache != null
          && !session.continues(answer.request.prompt(), shareable(answer.request))) {
        release(session); // to begin anew, with what the tree has
      }
    }
    Map<Session, Runnable> needy = new LinkedHashMap<>();
    for (Answer answer : group.answers()) {
      if (answer.session.cache == null) {
        needy.put(answer.session, () -> give(answer, group.capacity()));
      }
    }
    if (!admit(needy)) {
      return false;
    }
    for (Answer answer : group.answers()) {
      answer.session.shareable = shareable(answer.request);
      answer.session.lastUsed = ++clock;
    }
    return true;
  }

  /**
   * Gives a session the memory that it lacks, and nothing that others have cached: what it is to
   * hold comes from a store, and is not shared either, for it may be of lower precision.
   *
   * @param capacity tokens that the sequence may have
   * @return false if it must wait until an answer has ended
   */
  boolean admit(Session session, int capacity) {
    Map<Session, Runnable> needy =
        session.cache == null ? Map.of(session, () -> give(session, capacity)) : Map.of();
    boolean admitted = admit(needy);
    session.lastUsed = admitted ? ++clock : session.lastUsed;
    return admitted;
  }

  /**
   * Makes room for sessions, and gives them what they need, all of it or nothing.
   *
   * @param needy sessions without memory, and what gives it to them
   */
  private boolean admit(Map<Session, Runnable> needy) {
    long idle = holders.stream().filter(Admission::isIdle).count();
    if (limits.sequences() - holders.size() + idle < needy.size()) {
      return false;
    }
    while (limits.sequences() - holders.size() < needy.size()) {
      releaseIdle(1);
    }
    List<Session> given = new ArrayList<>();
    try {
      needy.forEach((session, gift) -> {
        gift.run();
        given.add(session);
      });
    } catch (BudgetExceededException | SpillException e) {
      given.forEach(Session::release);
      if (holders.stream().allMatch(Admission::isIdle)) {
        throw e;
      }
      return false; // there may be room when an answer has ended
    }
    holders.addAll(given);
    return true;
  }

  private void give(Session session, int capacity) {
    while (!pool.hasRoom(capacity, limits.chunk(), 0) && prefixes.drop(1) > 0) {
      // The tree gives up what is in the way.
    }
    session.promise = pool.promise(capacity, limits.chunk(), 0);
    session.cache = pool.cache();
    session.capacity = capacity;
  }

  /** Gives an answer's session what it needs, but for what of its prompt others have cached. */
  private void give(Answer answer, int capacity) {
    int[] prompt = answer.request.prompt();
    int page = pool.layout().pageTokens();
    int most = Math.min(shareable(answer.request), (prompt.length - 1) / page);
    SharedPrefix shared =
        prefixes.find(
            pool.layout(), b -> Arrays.copyOfRange(prompt, b * page, (b + 1) * page), most);
    KvCache cache = pool.cache();
    try {
      shared.adopt(cache); // before the tree gives anything up: it may be what is found here
      // What sequences share they have not been promised, so that without the rest of the tree
      // there is room for all that the plan allows.
      boolean room = pool.hasRoom(capacity, limits.chunk(), shared.blocks());
      while (!room && prefixes.drop(1) > 0) {
        room = pool.hasRoom(capacity, limits.chunk(), shared.blocks());
      }
      KvPromise promise = pool.promise(capacity, limits.chunk(), shared.blocks());
      answer.session.hold(cache, promise, shared, prompt);
      answer.session.capacity = capacity;
    } catch (BudgetExceededException | SpillException e) {
      cache.close();
      shared.close();
      throw e;
    }
  }

  /**
   * Blocks of its beginning that an answer's sequence may share: those that it never forgets while
   * it is written, since others pay for them.
   */
  private int shareable(Request request) {
    // What a policy keeps depends on more than the tokens before; and where tokens go to disk there
    // is no memory for more than one sequence's.
    if (!limits.prefixes()
        || !pool.layout().policy().equals(KvPolicy.FULL)
        || pool.layout().resident() > 0) {
      return 0;
    }
    return switch (request.overflow()) {
      case Request.Overflow.Stop() -> Integer.MAX_VALUE;
      // Without what windows saw, a sequence that goes back begins anew.
      case Request.Overflow.Shift(int keep) ->
          pool.layout().longestWindow() > 0 ? 0 : keep / pool.layout().pageTokens();
    };
  }

  private static boolean isIdle(Session session) {
    return !session.moving && (session.answering == null || session.answering.waiting);
  }

  /**
   * Gives up cached prefixes that no sequence shares, then the memory of idle sessions.
   *
   * @param bytes bytes to give back, if there are as many
   * @return bytes given back, once the pool is compacted
   */
  long reclaim(long bytes) {
    long given = prefixes.drop(bytes);
    while (given < bytes) {
      long more = releaseIdle(1);
      if (more == 0) {
        break;
      }
      given += more;
      given += given < bytes ? prefixes.drop(bytes - given) : 0; // those that it shared
    }
    return given;
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
