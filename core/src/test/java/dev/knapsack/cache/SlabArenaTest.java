package dev.knapsack.cache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Offering;
import dev.knapsack.memory.Rung;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SlabArenaTest {
  private static final long ROOM = 1 << 20;

  private final Budget budget = Budget.ofBytes(ROOM);
  private final Account account = budget.account("kv/pages");

  private static MemorySegment segment(SlabArena arena, int slab) {
    return arena.memory().asSlice(arena.offset(slab), arena.slabBytes());
  }

  /** A slab has nothing but its mark, in all its bytes. */
  private static void holds(SlabArena arena, int slab, byte mark) {
    MemorySegment bytes = segment(arena, slab);
    assertThat(bytes.get(JAVA_BYTE, 0)).isEqualTo(mark);
    assertThat(bytes.asSlice(1).mismatch(bytes.asSlice(0, bytes.byteSize() - 1))).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void agreesWithAModelOverRandomUse(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long slabBytes = random.nextLong(8, 20_000);
    SlabArena arena = new SlabArena(account, slabBytes, ROOM);
    Map<Integer, Byte> live = new HashMap<>();
    List<Integer> held = new ArrayList<>();
    for (int i = 0; i < 2_000; i++) {
      boolean grow = random.nextInt(100) < ((i / 500) % 2 == 0 ? 65 : 35);
      if (grow || held.isEmpty()) {
        if (!held.isEmpty() && random.nextInt(4) == 0) {
          int slab = held.get(random.nextInt(held.size()));
          arena.share(slab);
          held.add(slab);
          continue;
        }
        int slab;
        try {
          slab = arena.allocate();
        } catch (BudgetExceededException full) {
          assertThat(SlabArena.bytes(slabBytes, live.size() + 1)).isGreaterThan(ROOM);
          continue;
        }
        byte mark = (byte) random.nextInt();
        assertThat(segment(arena, slab).address() % 64).isZero();
        segment(arena, slab).fill(mark);
        assertThat(live.put(slab, mark)).isNull();
        held.add(slab);
      } else {
        Integer slab = held.remove(random.nextInt(held.size()));
        assertThat(arena.shared(slab)).isEqualTo(held.contains(slab));
        arena.release(slab);
        if (!held.contains(slab)) {
          live.remove(slab);
          assertThatThrownBy(() -> arena.offset(slab)).hasMessageContaining("'kv/pages'");
          assertThatThrownBy(() -> arena.release(slab)).hasMessageContaining("'kv/pages'");
        }
      }
      assertThat(arena.liveSlabs()).isEqualTo(live.size());
      assertThat(arena.leasedBytes())
          .isEqualTo(account.used())
          .isGreaterThanOrEqualTo(SlabArena.bytes(slabBytes, live.size()));
      if (random.nextInt(20) == 0) {
        arena.compact();
        assertThat(arena.leasedBytes()).isEqualTo(SlabArena.bytes(slabBytes, live.size()));
        live.forEach((l, mark) -> holds(arena, l, mark));
      }
    }
    live.forEach((l, mark) -> holds(arena, l, mark));
    held.forEach(arena::release);
    assertThat(budget.used()).isZero();
    arena.close();
  }

  @Test
  void aWritePastASlabCannotCorruptTheBookkeeping() {
    SlabArena arena = new SlabArena(account, 256, ROOM);
    List<Integer> slabs = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      slabs.add(arena.allocate());
    }
    MemorySegment first = segment(arena, slabs.getFirst());
    assertThatThrownBy(() -> first.set(JAVA_BYTE, 256, (byte) 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    // What native code could do that is handed a bare address: overwrite all that follows.
    first.reinterpret(16 * 256).fill((byte) 0xff);
    assertThat(segment(arena, slabs.get(5)).get(JAVA_LONG, 0)).isEqualTo(-1);
    arena.release(slabs.get(3));
    int again = arena.allocate();
    assertThat(arena.offset(again)).isEqualTo(3 * 256);
    slabs.set(3, again);
    assertThat(arena.liveSlabs()).isEqualTo(16);
    assertThat(slabs.stream().map(arena::offset).distinct()).hasSize(16);
    slabs.forEach(arena::release);
    assertThat(budget.used()).isZero();
  }

  @Test
  void closingAnArenaGivesEverythingBack() {
    SlabArena arena = new SlabArena(account, 1000, ROOM);
    int slab = arena.allocate();
    MemorySegment kept = segment(arena, slab);
    arena.close();
    assertThat(budget.used()).isZero();
    assertThatThrownBy(() -> arena.offset(slab)).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(() -> arena.release(slab)).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(arena::allocate).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(arena::compact).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(arena::close).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(() -> kept.get(JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aReclaimerMayFreeSlabsOfTheArenaThatAsks() {
    SlabArena arena = new SlabArena(account, 300_000, ROOM);
    List<Integer> slabs = new ArrayList<>();
    try (Budget.Registration _ =
        budget.onPressure(
            Rung.DROP_PREFIXES,
            account,
            new Offering(
                300_000,
                bytes -> {
                  arena.release(slabs.removeFirst());
                  return 300_000;
                }))) {
      for (int i = 0; i < 20; i++) {
        slabs.add(arena.allocate());
      }
    }
    assertThat(slabs).hasSize(3);
    assertThat(arena.liveSlabs()).isEqualTo(3);
    arena.close();
  }

  @Test
  @Timeout(60)
  void aHoleIsNoRoomForWhatIsToBeReserved() {
    Budget budget = Budget.ofBytes(8 * 4096);
    Account kv = budget.account("kv");
    try (SlabArena arena = new SlabArena(kv, 4096, 1 << 20)) {
      int first = arena.allocate();
      arena.allocate();
      arena.release(first);
      assertThatThrownBy(() -> arena.reserve(9)).isInstanceOf(BudgetExceededException.class);
      assertThat(kv.used()).isEqualTo(2 * 4096);
      arena.reserve(8);
      assertThat(kv.used()).isEqualTo(8 * 4096);
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void noTwoThreadsGetOneSlab() throws Exception {
    SlabArena arena = new SlabArena(account, 512, ROOM);
    try (var threads = Executors.newFixedThreadPool(8)) {
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        long mark = t + 1;
        tasks.add(() -> {
          for (int i = 0; i < 1_000; i++) {
            List<Integer> mine = new ArrayList<>();
            for (int n = 0; n < 5; n++) {
              mine.add(arena.allocate());
              segment(arena, mine.get(n)).set(JAVA_LONG, 0, mark);
            }
            for (int slab : mine) {
              assertThat(segment(arena, slab).get(JAVA_LONG, 0)).isEqualTo(mark);
              arena.release(slab);
            }
          }
          return true;
        });
      }
      for (Future<Boolean> f : threads.invokeAll(tasks)) {
        assertThat(f.get()).isTrue();
      }
    }
    assertThat(arena.liveSlabs()).isZero();
    assertThat(budget.used()).isZero();
  }
}
