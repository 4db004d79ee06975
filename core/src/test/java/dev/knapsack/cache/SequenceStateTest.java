package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.SpillException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every mixture of layers promises of a sequence. */
class SequenceStateTest {
  private static final int PAGE = 8;
  private static final LayerLayout HEADS = new LayerLayout.Heads(2, 32, 32, 0, 1);
  private static final LayerLayout WINDOW = new LayerLayout.Heads(1, 32, 32, 20, 1);
  private static final LayerLayout SMALL = new LayerLayout.Recurrent(12);
  private static final LayerLayout LARGE = new LayerLayout.Recurrent(5000);
  private static final LayerLayout NONE = new LayerLayout.None();
  private static final LayerLayout BOTH = LayerLayout.all(Stream.of(WINDOW, SMALL, NONE, LARGE));

  static Stream<KvLayout> layouts() {
    return Stream.of(
            List.of(HEADS, HEADS),
            List.of(HEADS, WINDOW),
            List.of(SMALL, LARGE),
            List.of(NONE, SMALL, HEADS),
            List.of(LARGE, WINDOW, NONE, HEADS),
            List.of(BOTH, LayerLayout.all(Stream.of(SMALL, HEADS))))
        .map(layers -> new KvLayout(layers, Formats.F16, Formats.F16, 0, KvPolicy.FULL, PAGE));
  }

  private final Budget budget = Budget.of("16MiB");
  private final Account kv = budget.account("kv");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
    assertThat(budget.accounts()).allMatch(a -> a.used() == 0);
  }

  /** What a layer that carries a state makes of a token: no two sequences of tokens end alike. */
  private static float after(float before, int token) {
    return (float) Math.fma(before, 0.75, Math.sin(token + 1));
  }

  private static float number(int token, int column) {
    return (token * 7 + column) % 32 / 32f;
  }

  /** Computes tokens, and does not commit them. */
  private static void compute(SequenceState state, int... tokens) {
    state.reserve(tokens.length);
    state.kv().text().read(tokens, 0, tokens.length);
    KvLayout layout = state.layout();
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads heads = layout.heads(l);
      if (heads.kvHeads() > 0) {
        int columns = heads.kvHeads() * heads.keySize();
        float[] rows = new float[tokens.length * columns];
        for (int i = 0; i < rows.length; i++) {
          rows[i] = number(tokens[i / columns], i % columns);
        }
        Matrix matrix =
            new Matrix(Formats.F32, tokens.length, columns, MemorySegment.ofArray(rows));
        state.kv().append(l, 0, matrix, matrix, 0, tokens.length);
      }
      long bytes = layout.layers().get(l).stateBytes();
      if (bytes > 0) {
        MemorySegment before = state.state(l);
        MemorySegment next = state.next(l);
        for (long at = 0; at < bytes; at += Float.BYTES) {
          float number = before.get(ValueLayout.JAVA_FLOAT, at);
          for (int token : tokens) {
            number = after(number, token + (int) at);
          }
          next.set(ValueLayout.JAVA_FLOAT, at, number);
        }
      }
    }
  }

  private static void grow(SequenceState state, int... tokens) {
    compute(state, tokens);
    state.commit(tokens.length);
    state.settle();
  }

  /** The state must be what these tokens, computed one by one, make of nothing. */
  private static void check(SequenceState state, int... tokens) {
    assertThat(state.length()).isEqualTo(tokens.length);
    state.reserve(1);
    KvLayout layout = state.layout();
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads heads = layout.heads(l);
      for (int h = 0; h < heads.kvHeads(); h++) {
        CachedHead head = state.kv().head(l, h);
        float[] key = new float[heads.keySize()];
        for (int place = 0; place < head.count(); place++) {
          head.key(place, key);
          int first = h * key.length;
          int token = tokens[head.position(place)];
          for (int c = 0; c < key.length; c++) {
            assertThat(key[c]).isEqualTo(number(token, first + c));
          }
        }
      }
      long bytes = layout.layers().get(l).stateBytes();
      for (long at = 0; at < bytes; at += Math.max(Float.BYTES, bytes - Float.BYTES)) {
        float expected = 0;
        for (int token : tokens) {
          expected = after(expected, token + (int) at);
        }
        assertThat(state.state(l).get(ValueLayout.JAVA_FLOAT, at)).isEqualTo(expected);
      }
    }
  }

  private static int[] tokens(int count, long seed) {
    return new SplittableRandom(seed).ints(count, 0, 1000).toArray();
  }

  private static int[] joined(int[] first, int... then) {
    int[] all = Arrays.copyOf(first, first.length + then.length);
    System.arraycopy(then, 0, all, first.length, then.length);
    return all;
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void stepsAddWhatTheyCommit(KvLayout layout) {
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence()) {
      int[] all = tokens(45, 1);
      grow(state, Arrays.copyOf(all, 13));
      check(state, Arrays.copyOf(all, 13));
      for (int i = 13; i < 45; i++) {
        grow(state, all[i]);
      }
      check(state, all);
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void aStepThatFailsHasChangedNothing(KvLayout layout) {
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence()) {
      int[] all = tokens(20, 2);
      compute(state, tokens(5, 3));
      grow(state, all);
      compute(state, tokens(17, 4));
      check(state, all);
      grow(state, 7, 8);
      check(state, joined(all, 7, 8));
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void forksGoOnAlone(KvLayout layout) {
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence();
        SequenceState unread = state.fork()) {
      int[] all = tokens(21, 5);
      grow(state, all);
      grow(unread, 3);
      try (SequenceState fork = state.fork()) {
        grow(fork, 1, 2, 3);
        grow(state, 4);
        check(fork, joined(all, 1, 2, 3));
      }
      check(state, joined(all, 4));
      check(unread, 3);
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void allGoBackToTheBeginning(KvLayout layout) {
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence()) {
      grow(state, tokens(30, 6));
      grow(state, 1);
      state.back(0);
      int[] again = tokens(9, 7);
      grow(state, again);
      check(state, again);
    }
  }

  /** Reads a prompt as far as {@code all} goes, in steps that end where checkpoints are kept. */
  private static void read(SequenceState state, int[] all) {
    state.prompt(all.length);
    while (state.length() < all.length) {
      int from = state.length();
      int n = Math.min(Math.min(100, all.length - from), state.untilCheckpoint());
      grow(state, Arrays.copyOfRange(all, from, from + n));
    }
  }

  static Stream<KvLayout> layoutsWithoutWindows() {
    return layouts().filter(layout -> layout.longestWindow() == 0);
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void goesBackToTheNearestPositionThatCanBeHad(KvLayout layout) {
    int[] all = tokens(1200, 9);
    for (int to : new int[] {1300, 1200, 1199, 1100, 1024, 1023, 512, 100, 0}) {
      try (KvPool pool = new KvPool(layout, kv);
          SequenceState state = pool.sequence()) {
        read(state, all);
        grow(state, 5); // of an answer
        assertThat(kv.used()).isLessThanOrEqualTo(layout.bytes(1201, 100));
        int expected =
            !layout.carriesStates()
                ? Math.min(to, 1201)
                : to >= 1201 ? 1201 : to == 1200 ? 1200 : to >= 1024 ? 1024 : to >= 512 ? 512 : 0;
        if (layout.longestWindow() > 0 && expected < 1190) {
          expected = 0;
        }
        assertThat(state.nearest(to)).isEqualTo(expected);
        assertThat(state.back(to)).isEqualTo(expected);
        int[] kept = Arrays.copyOf(joined(all, 5), expected);
        check(state, kept);
        grow(state, 6, 7);
        check(state, joined(kept, 6, 7));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("layoutsWithoutWindows")
  void theLastTurnCanBeEdited(KvLayout layout) {
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence()) {
      int[] said = {};
      for (int turn = 0; turn < 9; turn++) {
        int begin = state.length();
        read(state, joined(said, tokens(9, turn)));
        said = joined(said, tokens(9, turn));
        grow(state, 3);
        grow(state, 4);
        said = joined(said, 3, 4);
        assertThat(kv.used()).isLessThanOrEqualTo(layout.bytes(said.length, 9));
        try (SequenceState fork = state.fork()) {
          assertThat(fork.nearest(begin + 9)).as("the end of its prompt").isEqualTo(begin + 9);
          assertThat(fork.back(begin + 5)).isEqualTo(layout.carriesStates() ? begin : begin + 5);
          int[] kept = Arrays.copyOf(said, fork.length());
          read(fork, joined(kept, tokens(7, 20)));
          check(fork, joined(kept, tokens(7, 20)));
        }
        check(state, said);
      }
    }
  }

  @Test
  void aCheckpointIsKeptWhereThereIsRoomAlone() {
    KvLayout layout = new KvLayout(List.of(LARGE), Formats.F16, Formats.F16);
    Account small = Budget.ofBytes(Account.charged(10_000) + Account.charged(5000)).account("kv");
    try (KvPool pool = new KvPool(layout, small);
        SequenceState state = pool.sequence()) {
      int[] all = tokens(600, 1);
      read(state, all);
      check(state, all);
      assertThat(state.nearest(599)).isEqualTo(512);
      assertThat(state.nearest(511)).isZero();
    }
    assertThat(small.used()).isZero();
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void sequencesLeaseWhatTheyWerePromised(KvLayout layout) {
    long bytes = layout.bytes(60, 13);
    try (KvPool pool = new KvPool(layout, kv, bytes, Path.of("unused"))) {
      try (KvPromise promise = pool.promise(60, 13, 0);
          SequenceState state = pool.sequence()) {
        assertThat(promise.bytes()).isEqualTo(bytes);
        int[] all = tokens(60, 8);
        for (int i = 0; i < 60; i += 12) {
          grow(state, Arrays.copyOfRange(all, i, i + 12));
        }
        check(state, all);
        assertThat(pool.hasRoom(1, 1, 0)).isFalse();
      }
      assertThat(pool.hasRoom(60, 13, 0)).isTrue();
    }
  }

  @Test
  void aStateThatDoesNotFitIsRefused() {
    Account small = Budget.of("64KiB").account("kv");
    LayerLayout huge = new LayerLayout.Recurrent(1 << 16);
    KvLayout layout = new KvLayout(List.of(HEADS, huge), Formats.F16, Formats.F16);
    try (KvPool pool = new KvPool(layout, small);
        SequenceState state = pool.sequence()) {
      assertThatThrownBy(() -> state.reserve(1)).isInstanceOf(BudgetExceededException.class);
      assertThat(pool.livePages()).isZero();
    }
    assertThat(small.used()).isZero();
  }

  @Test
  void aFullDiskEmptiesStatesWithTheCache(@TempDir Path folder) {
    KvLayout layout = spilling();
    emptiesStates(FullDisk.pool(layout, kv, folder), layout, SpillException.class);
  }

  @Test
  void whateverEmptiesTheCacheEmptiesStates(@TempDir Path folder) {
    KvLayout layout = spilling();
    KvPool pool =
        FullDisk.watched(
            layout,
            kv,
            folder,
            file -> {
              throw new IllegalStateException("no file today");
            });
    emptiesStates(pool, layout, IllegalStateException.class);
  }

  private static KvLayout spilling() {
    return new KvLayout(List.of(HEADS, SMALL), Formats.F16, Formats.F16, 0, KvPolicy.FULL, PAGE)
        .withResident(PAGE);
  }

  private static void emptiesStates(
      KvPool owned, KvLayout layout, Class<? extends RuntimeException> problem) {
    try (KvPool pool = owned;
        SequenceState state = pool.sequence()) {
      int[] all = tokens(PAGE + layout.diskBlock(), 9);
      assertThatThrownBy(() -> grow(state, all)).isInstanceOf(problem);
      int[] others = tokens(5, 10);
      grow(state, others);
      check(state, others);
    }
  }

  @Test
  void layersWithoutAStateAreRefused() {
    KvLayout layout = new KvLayout(List.of(HEADS, SMALL, NONE), Formats.F16, Formats.F16);
    try (KvPool pool = new KvPool(layout, kv);
        SequenceState state = pool.sequence()) {
      state.reserve(1);
      assertThatThrownBy(() -> state.next(0)).isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> state.state(2)).isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(BOTH.stateBytes()).isEqualTo(5012);
    assertThat(BOTH.heads()).isEqualTo(WINDOW);
    assertThatThrownBy(() -> LayerLayout.all(Stream.of(HEADS, SMALL, WINDOW)))
        .hasMessageContaining("one attention");
    assertThatThrownBy(() -> new LayerLayout.Recurrent(0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new LayerLayout.Recurrent(6))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
