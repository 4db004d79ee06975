package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvPromise;
import dev.knapsack.cache.KvShare;
import dev.knapsack.cache.PrefixTree;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.SharedPrefix;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.ShareExceededException;
import dev.knapsack.error.SpillException;
import dev.knapsack.generation.Overflow;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Claim;
import dev.knapsack.memory.Offer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The sessions that have a sequence, and the requests that wait for one.
 *
 * <p>At most as many sessions hold memory as the plan allows. A session that answers keeps what it
 * has; that of an idle one goes to whoever needs it. When that is not enough a request waits, and
 * when too many wait it is refused. Of those that wait the one with the highest priority is next,
 * of several that of the tenant whose last turn is the longest ago, and of its requests the oldest:
 * so however many a tenant has, another waits for no more than one of them. Used on the engine's
 * thread alone.
 */
final class Admission {
  /**
   * Answers to one prompt, which get their sequences together.
   *
   * @param capacity tokens that each sequence may have
   */
  record Group(List<Answer> answers, int capacity) {
    private Request request() {
      return answers.getFirst().request;
    }
  }

  /** Tenants whose turns are remembered; one that was forgotten is as one that comes new. */
  private static final int TENANTS = 1024;

  /** Of the plan's layout. */
  private final KvPool pool;

  private final PrefixTree prefixes;
  private final Account memory;
  private final double secondsPerByte;
  private final Scheduler.Limits limits;
  private final StepLoop loop;

  /** Sessions that hold memory. */
  private final List<Session> holders = new ArrayList<>();

  /** Those who wait, in the order of coming. */
  private final List<Group> queue = new ArrayList<>();

  /**
   * The last turn of each tenant, by its name. That of one that came new was just before the last
   * one of all: so it goes before whoever had that, and not for ever before those who had theirs.
   */
  private final LinkedHashMap<String, Long> turns = new LinkedHashMap<>();

  private long lastTurn;

  /** The order of those who wait; of equals, who came before is before. */
  private final Comparator<Group> order =
      Comparator.comparingInt((Group g) -> g.request().priority())
          .reversed()
          .thenComparingLong(g -> turns.getOrDefault(g.request().tenant(), lastTurn - 1));

  /** The place of the first in the queue among those of other models; null if it needs none. */
  private @Nullable Claim claim;

  private long clock;

  /**
   * @param loop lets in who waits, when there may be memory for that
   */
  Admission(Scheduler.Resources resources, StepLoop loop) {
    this.pool = resources.pools().planned();
    this.prefixes = resources.prefixes();
    this.memory = resources.memory();
    this.secondsPerByte = resources.secondsPerByte();
    this.limits = resources.limits();
    this.loop = loop;
  }

  /**
   * Gives a group its sequences, or a place in the queue.
   *
   * @return whether it has its sequences
   * @throws QueueFullException if it would have to wait, and too many do
   * @throws ShareExceededException if it would have to wait for its tenant's others, and too many
   *     do
   * @throws BudgetExceededException if its memory does not fit, and no answer's end would help
   * @throws SpillException if the disk has no room for what memory has none for
   */
  boolean enter(Group group) {
    OptionalLong share = group.request().share();
    if (share.isPresent() && wanted(group) > share.getAsLong()) {
      throw new ShareExceededException(
          wanted(group), answered(group.request().tenant()), share.getAsLong());
    }
    turns.putIfAbsent(group.request().tenant(), lastTurn - 1);
    if (turns.size() > TENANTS) {
      turns.pollFirstEntry();
    }
    boolean within = isWithinShare(group);
    boolean first =
        queue.stream().allMatch(other -> order.compare(group, other) < 0 || !isWithinShare(other));
    boolean admitted = within && first && admit(group);
    if (!admitted) {
      checkShare(group, within);
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
      Group head =
          queue.stream().sorted(order).filter(this::isWithinShare).findFirst().orElse(null);
      if (head == null) {
        unclaim(); // whoever waits, waits for their own tenants
        return null;
      }
      Throwable refusal = null;
      try {
        if (!admit(head)) {
          return null;
        }
      } catch (RuntimeException | Error e) {
        refusal = e;
      }
      queue.remove(head);
      unclaimIfEmpty();
      head.answers().forEach(a -> a.waiting = false);
      if (refusal == null) {
        return head;
      }
      for (Answer answer : head.answers()) {
        answer.fail(refusal);
        answer.session.answering = null;
        answer.publish();
      }
    }
  }

  /** Takes an answer out of the queue, if it is there. */
  void leave(Answer answer) {
    if (answer.waiting) {
      answer.waiting = false;
      queue.forEach(group -> group.answers().remove(answer));
      queue.removeIf(group -> group.answers().isEmpty());
      unclaimIfEmpty();
    }
  }

  /** Requests that wait. */
  int waiting() {
    return queue.size();
  }

  /** The answers that wait. */
  List<Answer> waitingAnswers() {
    return queue.stream().flatMap(group -> group.answers().stream()).toList();
  }

  /**
   * The lack of a session that is to hold a sequence.
   *
   * @param pool where it is to have its pages
   * @param capacity tokens that the sequence may have
   * @param prompt what it is to begin with
   * @param shared what of that others have cached
   * @param shares whether it may have more from others, and they from it
   */
  private record Need(
      Session session,
      KvPool pool,
      int capacity,
      int[] prompt,
      SharedPrefix shared,
      boolean shares) {
    KvShare share() {
      return new KvShare(shared.blocks(), shares);
    }
  }

  /** Gives a group what it needs, all of it or nothing. */
  private boolean admit(Group group) {
    List<Answer> lacking =
        group.answers().stream().filter(a -> a.session.state == null || !goesOn(a)).toList();
    if (!hasSequences(lacking.size())) {
      unclaim(); // until there are, others can have the memory
      return false;
    }
    if (!lacking.isEmpty() && limits.queue() > 0 && !isNext()) {
      KvLayout layout = lacking.getFirst().pool.layout();
      claim(lacking.size() * layout.bytes(group.capacity(), limits.chunk()));
      return false;
    }
    List<Need> needs = new ArrayList<>();
    for (Answer answer : lacking) {
      needs.add(
          new Need(
              answer.session,
              answer.pool,
              group.capacity(),
              answer.request.prompt(),
              find(answer),
              shareable(answer) > 0));
    }
    if (waitsForDisk(needs)) {
      needs.forEach(need -> need.shared.close());
      return false;
    }
    try {
      give(needs);
    } catch (BudgetExceededException e) {
      if (waitsForOthers(e) || !allIdle()) {
        return false;
      }
      throw e;
    } catch (SpillException e) {
      if (!allIdle()) {
        return false;
      }
      throw e;
    }
    if (claim != null && !lacking.isEmpty()) {
      claim.fulfil();
      claim = null;
    }
    for (Answer answer : group.answers()) {
      answer.session.shareable = answer.session.restored ? 0 : shareable(answer);
      answer.session.lastUsed = ++clock;
      if (answer.session.promise != null) {
        answer.holds(answer.session.promise.bytes());
      }
    }
    lastTurn = ++clock;
    turns.putLast(group.request().tenant(), lastTurn);
    return true;
  }

  /**
   * Gives a session what it needs to hold a sequence in place of the one that it has, and nothing
   * that others have cached: what it is to hold comes from a store, and is not shared either, for
   * it may be of lower precision.
   *
   * @param capacity tokens that the sequence may have
   * @return false if it must wait until an answer has ended
   */
  boolean admit(Session session, int capacity) {
    if (!hasSequences(1)) {
      return false;
    }
    int[] none = new int[0];
    try {
      give(List.of(new Need(session, pool, capacity, none, find(pool, "", none, 0, false), false)));
    } catch (BudgetExceededException | SpillException e) {
      if (allIdle()) {
        throw e;
      }
      return false;
    }
    session.lastUsed = ++clock;
    return true;
  }

  /**
   * Says whether prefixes would have to go that are on their way to disk: nobody else is written
   * for who would wait, and computing them again takes longer.
   */
  private boolean waitsForDisk(List<Need> needs) {
    return limits.queue() > 0
        && prefixes.backlog().isPending()
        && allIdle()
        && needs.stream().anyMatch(n -> !n.pool.hasRoom(n.capacity, limits.chunk(), n.share()));
  }

  /**
   * Says whether a group can have what it lacks without its tenant holding more than its share. Of
   * the tenant's prefixes those go that nobody uses now.
   */
  private boolean isWithinShare(Group group) {
    List<Answer> lacking = group.answers().stream().filter(a -> a.session.state == null).toList();
    if (group.request().share().isEmpty() || lacking.isEmpty()) {
      return true;
    }
    long held = answered(group.request().tenant());
    Answer first = lacking.getFirst();
    String salt = salt(first);
    long share = group.request().share().getAsLong();
    try (SharedPrefix found = find(first)) {
      long each =
          first.pool.bytes(
              group.capacity(), limits.chunk(), new KvShare(found.blocks(), shareable(first) > 0));
      long wanted = held + lacking.size() * each;
      long over = wanted + prefixes(salt) - share;
      boolean within = wanted <= share && (over <= 0 || prefixes.drop(salt, over) >= over);
      return within || held == 0; // alone it fits, which was checked
    }
  }

  /** Bytes of the cache that a tenant's answers have for themselves. */
  private long answered(String tenant) {
    long bytes = 0;
    for (Session session : holders) {
      Answer answer = session.answering;
      KvPromise promise = session.promise;
      if (answer != null
          && promise != null
          && !answer.waiting
          && answer.request.tenant().equals(tenant)) {
        bytes += promise.bytes();
      }
    }
    return bytes;
  }

  /** Bytes of prefixes that are one tenant's: none are where all share them. */
  private long prefixes(String salt) {
    return limits.tenants() ? 0 : prefixes.bytes(salt);
  }

  /**
   * Refuses what can never be within its tenant's share, or is not now where too many of the tenant
   * wait: they would leave others no place in the queue.
   */
  private void checkShare(Group group, boolean within) {
    Request request = group.request();
    if (request.share().isPresent() && !within) {
      long share = request.share().getAsLong();
      long waiting =
          queue.stream().filter(g -> g.request().tenant().equals(request.tenant())).count();
      if (waiting >= Math.max(1, limits.queue() / 2)) {
        throw new ShareExceededException(wanted(group), answered(request.tenant()), share);
      }
    }
  }

  /** Bytes that a group may need, if it finds nothing computed. */
  private long wanted(Group group) {
    KvLayout layout = group.answers().getFirst().pool.layout();
    return group.answers().size() * layout.bytes(group.capacity(), limits.chunk());
  }

  /** Says whether nobody who asked for memory before has to wait for it. */
  private boolean isNext() {
    return claim == null ? !memory.budget().isClaimed() : claim.isNext();
  }

  /** Says whether others have given back what did not fit, or will: that is claimed. */
  private boolean waitsForOthers(BudgetExceededException e) {
    boolean waits =
        limits.queue() > 0
            && e.total() == memory.budget().total() // not the part of it that the plan has
            && (e.requested() <= memory.expected() || !allIdle());
    if (waits) {
      claim(e.requested());
    }
    return waits;
  }

  private void claim(long bytes) {
    if (claim == null) {
      claim = memory.budget().claim(memory, bytes, loop::serve);
      loop.serve(); // for what has become free meanwhile
    }
  }

  private void unclaimIfEmpty() {
    if (queue.isEmpty()) {
      unclaim();
    }
  }

  /** Gives up the place in the queue of all models, which nobody of this one needs now. */
  private void unclaim() {
    if (claim != null) {
      claim.close();
      claim = null;
    }
  }

  private boolean allIdle() {
    return holders.stream().allMatch(Admission::isIdle);
  }

  /** Says whether an answer's session can go on with what it has of the prompt. */
  private boolean goesOn(Answer answer) {
    KvLayout layout = answer.pool.layout();
    int[] prompt = answer.request.prompt();
    int shareable = shareable(answer);
    if (answer.session.continues(layout, salt(answer), prompt, shareable)) {
      return true;
    }
    if (shareable == 0 || !layout.carriesStates()) {
      return false; // pages that it shares are to be had again
    }
    try (SharedPrefix elsewhere = find(answer)) {
      return answer.session.leaves(layout, salt(answer), prompt, elsewhere.tokens());
    }
  }

  /** The beginning of an answer's prompt that others have cached. */
  private SharedPrefix find(Answer answer) {
    int[] prompt = answer.request.prompt();
    int page = answer.pool.layout().pageTokens();
    int most = Math.min(shareable(answer), (prompt.length - 1) / page);
    return find(answer.pool, salt(answer), prompt, most, answer.reproducible);
  }

  /** Tells an answer's sequence from those of others that it shares nothing with. */
  private String salt(Answer answer) {
    return limits.tenants() ? "" : answer.request.tenant();
  }

  private SharedPrefix find(KvPool of, String salt, int[] prompt, int most, boolean exact) {
    int page = of.layout().pageTokens();
    return prefixes.find(
        of, salt, b -> Arrays.copyOfRange(prompt, b * page, (b + 1) * page), most, exact);
  }

  /** Says whether so many sequences are to be had, if idle sessions give theirs. */
  private boolean hasSequences(int count) {
    long idle = holders.stream().filter(Admission::isIdle).count();
    return limits.sequences() - holders.size() + idle >= count;
  }

  /** Gives sessions what they need, all of it or nothing, in place of what they have. */
  private void give(List<Need> needs) {
    Deque<Need> lacking = new ArrayDeque<>(needs);
    try {
      if (!needs.isEmpty()) {
        Need first = needs.getFirst(); // they are for answers to one request
        first.pool.checkRoom(
            first.capacity, limits.chunk(), needs.stream().map(Need::share).toList());
      }
      needs.forEach(need -> release(need.session));
      while (limits.sequences() - holders.size() < needs.size()) {
        releaseIdle(1);
      }
      while (!lacking.isEmpty()) {
        give(lacking.element());
        lacking.remove();
      }
    } catch (RuntimeException | Error e) {
      needs.stream().filter(need -> !lacking.contains(need)).forEach(n -> n.session.release());
      throw e;
    } finally {
      lacking.forEach(need -> need.shared.close());
    }
    needs.forEach(need -> holders.add(need.session));
  }

  private void give(Need need) {
    Session session = need.session;
    KvShare share = need.share();
    SequenceState state = need.pool.sequence(share);
    try {
      need.shared.adopt(state); // before the tree gives anything up: it may be what is found here
      // What sequences share they have not been promised, so that without the rest of the tree
      // there is room for all that the plan allows.
      while (!need.pool.hasRoom(need.capacity, limits.chunk(), share) && prefixes.drop(1) > 0) {
        // The tree gives up what is in the way.
      }
      KvPromise promise = need.pool.promise(need.capacity, limits.chunk(), share);
      session.hold(state, promise, need.shared, need.prompt);
      session.capacity = need.capacity;
    } catch (RuntimeException | Error e) {
      state.close();
      throw e;
    }
  }

  /**
   * Blocks of its beginning that an answer's sequence may share: those that it never forgets while
   * it is written, since others pay for them.
   */
  private int shareable(Answer answer) {
    KvLayout layout = answer.pool.layout();
    // What a policy keeps depends on more than the tokens before; and where tokens go to disk there
    // is no memory for more than one sequence's. Nor is what recent tokens are held in the same
    // after a shared beginning as without one, or a state that was kept in fewer bits.
    boolean same = layout.recent() == 0 && layout.checkpoints().exact();
    if (!limits.prefixes()
        || !layout.policy().equals(KvPolicy.FULL)
        || layout.resident() > 0
        || (answer.reproducible && !same)) {
      return 0;
    }
    return switch (answer.request.overflow()) {
      case Overflow.Stop() -> Integer.MAX_VALUE;
      // Without what windows saw, or a state of then, a sequence that goes back begins anew.
      case Overflow.Shift(int keep) ->
          layout.longestWindow() > 0 || layout.carriesStates() ? 0 : keep / layout.pageTokens();
    };
  }

  private static boolean isIdle(Session session) {
    return session.answering == null || session.answering.waiting;
  }

  /** Offers of what {@link #reclaim} gives back, and of what answers under way will. */
  List<Offer> offers() {
    long now = given(holders.stream().filter(Admission::isIdle).toList());
    // Also what is on its way to somebody, while this loop itself asks others.
    long later = Math.max(given(holders), pool.leasedBytes()) - now;
    return List.of(
        new Offer(now, now * secondsPerByte, true), new Offer(Math.max(0, later), 0, false));
  }

  /** Bytes that would be free without these sessions, and without prefixes that others share. */
  private long given(List<Session> sessions) {
    return Math.max(
        0,
        pool.given(
            sessions.stream().map(s -> s.promise).filter(Objects::nonNull).toList(),
            prefixes.droppable(
                sessions.stream().map(s -> s.shared).filter(Objects::nonNull).toList())));
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
