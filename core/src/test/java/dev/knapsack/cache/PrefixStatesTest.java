package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Beginnings that sequences share, where layers carry states. */
class PrefixStatesTest {
  private static final int PAGE = PrefixTreeTest.PAGE;
  private static final int STEP = 13;
  private static final int CAPACITY = 200;
  private static final int ALL = Integer.MAX_VALUE;
  private static final LayerLayout STATE = new LayerLayout.Recurrent(5000);
  private static final LayerLayout HEADS = new LayerLayout.Heads(2, 32, 32, 0, 1);
  private static final LayerLayout WINDOW = new LayerLayout.Heads(1, 32, 32, 20, 1);

  private static final KvLayout PURE = layout(STATE, STATE);
  static final List<KvLayout> LAYOUTS =
      List.of(PURE, layout(STATE, HEADS), layout(WINDOW, STATE, HEADS));

  private static KvLayout layout(LayerLayout... layers) {
    return new KvLayout(List.of(layers), Formats.F16, Formats.F16, 0, KvPolicy.FULL, PAGE)
        .withCheckpoints(new Checkpoints(4 * PAGE, 6, Formats.F32));
  }

  private final Budget budget = Budget.of("16MiB");
  private final Account kv = budget.account("kv");
  private final Account prefixes = budget.account("kv/prefixes");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
    assertThat(budget.accounts()).allMatch(a -> a.used() == 0);
  }

  /** A pool with room for some sequences, and its tree. */
  private final class Caches implements AutoCloseable {
    final KvPool pool;
    final PrefixTree tree;
    final long most;

    Caches(KvLayout layout, int sequences) {
      most = sequences * layout.bytes(CAPACITY, STEP);
      pool = new KvPool(layout, kv, most, Path.of("unused"));
      tree = new PrefixTree(pool, prefixes, null);
    }

    Sequence begin(int[] tokens) {
      return new Sequence(this, tokens);
    }

    /** The tokens that had to be computed for a sequence that has ended. */
    int run(int[] tokens) {
      try (Sequence sequence = begin(tokens)) {
        sequence.finish();
        assertThat(kv.used()).isLessThanOrEqualTo(most);
        return sequence.computed;
      }
    }

    @Override
    public void close() {
      tree.close();
      assertThat(prefixes.used()).isZero();
      assertThat(pool.livePages()).isZero();
      pool.close();
    }
  }

  private static final class Sequence implements AutoCloseable {
    final Caches caches;
    final SharedPrefix shared;
    final KvPromise promise;
    final SequenceState state;
    int[] tokens;
    int computed;

    Sequence(Caches caches, int[] tokens) {
      this.caches = caches;
      this.tokens = tokens;
      shared =
          caches.tree.find(
              caches.pool, "", PrefixTreeTest.block(tokens), (tokens.length - 1) / PAGE, false);
      KvShare share = new KvShare(shared.blocks(), true);
      state = caches.pool.sequence(share);
      shared.adopt(state);
      boolean room = caches.pool.hasRoom(CAPACITY, STEP, share);
      while (!room && caches.tree.drop(1) > 0) {
        room = caches.pool.hasRoom(CAPACITY, STEP, share);
      }
      promise = caches.pool.promise(CAPACITY, STEP, share);
      state.prompt(tokens.length);
    }

    Sequence finish() {
      while (state.length() < tokens.length) {
        step();
      }
      SequenceStateTest.check(state, tokens);
      return this;
    }

    void step() {
      shared.advance(
          state, promise, PrefixTreeTest.block(tokens), (tokens.length - 1) / PAGE, false, 0);
      int from = state.length();
      int n = Math.min(Math.min(STEP, tokens.length - from), state.untilCheckpoint());
      SequenceStateTest.compute(state, Arrays.copyOfRange(tokens, from, from + n));
      state.commit(n);
      computed += n;
      state.kv().encode();
      shared.extend(state, promise, PrefixTreeTest.block(tokens), ALL, 0, false);
      state.compress();
    }

    @Override
    public void close() {
      state.close();
      promise.close();
      shared.close();
    }
  }

  /** {@code length} tokens, of which the first {@code common} are the same for all seeds. */
  private static int[] tokens(int common, int seed, int length) {
    return IntStream.range(0, length).map(i -> i < common ? i * 5 : i * 7 + 100 * seed).toArray();
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void aSequenceGoesOnFromTheLastCheckpointOfWhatItShares(KvLayout layout) {
    try (Caches caches = new Caches(layout, 3)) {
      assertThat(caches.run(tokens(60, 1, 90))).isEqualTo(90);
      assertThat(caches.run(tokens(60, 1, 90))).as("the last block's end").isEqualTo(90 - 88);
      assertThat(caches.run(tokens(60, 2, 90))).as("every 32 tokens").isEqualTo(90 - 32);
      assertThat(caches.run(tokens(60, 3, 90))).as("where two have parted").isEqualTo(90 - 56);
      assertThat(caches.run(tokens(60, 1, 95))).as("the first's end").isEqualTo(95 - 88);
      assertThat(caches.run(tokens(30, 4, 90))).as("before all of them").isEqualTo(90);
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void whoComputesTheSameAtTheSameTimeGoesOnFromItToo(KvLayout layout) {
    try (Caches caches = new Caches(layout, 3);
        Sequence first = caches.begin(tokens(70, 1, 100));
        Sequence second = caches.begin(tokens(70, 2, 100))) {
      first.step();
      second.step();
      while (first.state.length() < 64) {
        first.step();
      }
      second.step();
      assertThat(second.state.length()).isGreaterThan(64);
      first.finish();
      second.finish();
      assertThat(second.computed).isEqualTo(8 + 100 - 64); // the first had one block
    }
  }

  /** However long a text is and whatever was before: no more than was planned, and no error. */
  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void checkpointsGoWhereThereIsNoRoom(KvLayout layout) {
    for (int sequences : new int[] {1, 2}) {
      try (Caches caches = new Caches(layout, sequences)) {
        for (int i = 0; i < 12; i++) {
          caches.run(tokens(40, i % 5, 60 + 12 * i));
        }
        if (layout.longestWindow() == 0) { // pages of which go as well
          int next = caches.run(tokens(40, 7, 200));
          assertThat(next).as("where many part").isLessThanOrEqualTo(200 - 32);
          assertThat(caches.run(tokens(40, 7, 199))).as("the last").isEqualTo(199 - 192);
        }
      }
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void whatIsSharedGoesOnWhenItsCheckpointsAreTaken(KvLayout layout) {
    try (Caches caches = new Caches(layout, 3)) {
      caches.run(tokens(60, 1, 90));
      try (Sequence second = caches.begin(tokens(60, 2, 90))) {
        assertThat(second.shared.tokens()).isEqualTo(32);
        second.step();
        long tree = prefixes.used();
        long given = caches.tree.drop(Long.MAX_VALUE);
        assertThat(given).isBetween(2 * layout.checkpointBytes(), tree);
        assertThat(prefixes.used()).isEqualTo(tree - given);
        second.finish();
        assertThat(second.computed).isEqualTo(90 - 32);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("LAYOUTS")
  void aSequenceGoesBackInWhatItSharesAndPaysForItAgain(KvLayout layout) {
    try (Caches caches = new Caches(layout, 2);
        Sequence sequence = caches.begin(tokens(60, 1, 60)).finish()) {
      int[] longer = tokens(60, 1, 100);
      sequence.state.prompt(100);
      sequence.tokens = longer;
      sequence.finish();
      assertThat(sequence.shared.tokens()).isEqualTo(96);
      int back = sequence.state.nearest(70);
      assertThat(back).isEqualTo(layout.longestWindow() > 0 ? 0 : 60);
      long paid = sequence.promise.bytes();
      assertThat(sequence.shared.leave(back, sequence.promise)).isTrue();
      assertThat(sequence.promise.bytes() > paid).isEqualTo(layout != PURE);
      assertThat(sequence.shared.tokens()).isEqualTo(back / PAGE * PAGE);
      assertThat(sequence.state.back(back)).isEqualTo(back);
      int[] edited = tokens(62, 2, 100);
      sequence.tokens = edited;
      sequence.computed = 0;
      sequence.state.prompt(100);
      sequence.finish();
      assertThat(sequence.computed).isLessThanOrEqualTo(100 - back);
      assertThat(caches.run(longer)).as("what it left is still shared").isEqualTo(100 - 96);
      assertThat(kv.used()).isLessThanOrEqualTo(caches.most);
    }
  }

  @Test
  void blocksBehindTheLastCheckpointGoWithTheSequence() {
    try (Caches caches = new Caches(PURE, 2)) {
      try (Sequence sequence = caches.begin(tokens(60, 1, 60)).finish()) {
        for (int i = 0; i < 35; i++) { // an answer's, one by one
          sequence.tokens = tokens(60, 1, 61 + i);
          sequence.step();
        }
        assertThat(caches.tree.size()).isEqualTo(95 / PAGE);
      }
      assertThat(caches.tree.size()).as("every 32 tokens of the answer, too").isEqualTo(8);
      assertThat(caches.run(tokens(60, 1, 90))).isEqualTo(90 - 64);
    }
  }
}
