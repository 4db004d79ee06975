package dev.knapsack.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SlabArenaTest {
  private final Budget budget = Budget.of("1MiB");
  private final Account account = budget.account("kv/pages");

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void agreesWithAModelOverRandomUse(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long slabBytes = random.nextLong(8, 20_000);
    int perExtent = random.nextInt(1, 9);
    long extentBytes = SlabArena.extentBytes(slabBytes, perExtent);
    SlabArena arena = new SlabArena(account, slabBytes, perExtent);
    Map<SlabArena.Slab, Byte> live = new HashMap<>();
    List<SlabArena.Slab> order = new ArrayList<>();
    for (int i = 0; i < 3_000; i++) {
      boolean grow = random.nextInt(100) < ((i / 500) % 2 == 0 ? 65 : 35);
      if (grow || order.isEmpty()) {
        SlabArena.Slab slab;
        try {
          slab = arena.allocate();
        } catch (BudgetExceededException full) {
          assertThat(live.size()).isEqualTo((int) (arena.leasedBytes() / extentBytes) * perExtent);
          assertThat(budget.free()).isLessThan(extentBytes);
          continue;
        }
        byte mark = (byte) random.nextInt();
        assertThat(slab.segment().byteSize()).isEqualTo(slabBytes);
        assertThat(slab.segment().address() % 64).isZero();
        slab.segment().fill(mark);
        live.put(slab, mark);
        order.add(slab);
      } else {
        SlabArena.Slab slab = order.remove(random.nextInt(order.size()));
        byte mark = live.remove(slab);
        assertThat(slab.segment().get(JAVA_BYTE, 0)).isEqualTo(mark);
        assertThat(slab.segment().get(JAVA_BYTE, slabBytes - 1)).isEqualTo(mark);
        slab.close();
        assertThatThrownBy(slab::segment).hasMessageContaining("'kv/pages'");
        assertThatThrownBy(slab::close).hasMessageContaining("'kv/pages'");
      }
      assertThat(arena.liveSlabs()).isEqualTo(live.size());
      assertThat(arena.leasedBytes()).isEqualTo(account.used());
      long extents = arena.leasedBytes() / extentBytes;
      assertThat(arena.leasedBytes()).isEqualTo(extents * extentBytes);
      // Every extent holds a slab, and the slabs have room.
      assertThat((long) live.size()).isBetween(extents, extents * perExtent);
    }
    live.forEach((slab, mark) -> {
      byte[] bytes = slab.segment().toArray(JAVA_BYTE);
      assertThat(bytes).containsOnly(mark);
    });
    order.forEach(SlabArena.Slab::close);
    assertThat(budget.used()).isZero();
    arena.close();
  }

  @Test
  void aWritePastASlabCannotCorruptTheBookkeeping() {
    SlabArena arena = new SlabArena(account, 256, 16);
    List<SlabArena.Slab> slabs = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      slabs.add(arena.allocate());
    }
    MemorySegment first = slabs.getFirst().segment();
    assertThatThrownBy(() -> first.set(JAVA_BYTE, 256, (byte) 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    // What native code could do that is handed a bare address: overwrite all that follows.
    first.reinterpret(16 * 256).fill((byte) 0xff);
    assertThat(slabs.get(5).segment().get(JAVA_LONG, 0)).isEqualTo(-1);
    slabs.get(3).close();
    SlabArena.Slab again = arena.allocate();
    assertThat(again.segment().address()).isEqualTo(first.address() + 3 * 256);
    slabs.set(3, again);
    assertThat(arena.liveSlabs()).isEqualTo(16);
    assertThat(slabs.stream().map(s -> s.segment().address()).distinct()).hasSize(16);
    slabs.forEach(SlabArena.Slab::close);
    assertThat(budget.used()).isZero();
  }

  @Test
  void closingAnArenaGivesEverythingBack() {
    SlabArena arena = new SlabArena(account, 1000, 4);
    SlabArena.Slab slab = arena.allocate();
    MemorySegment kept = slab.segment();
    arena.close();
    assertThat(budget.used()).isZero();
    assertThatThrownBy(slab::segment).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(slab::close).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(arena::allocate).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(arena::close).hasMessageContaining("'kv/pages'");
    assertThatThrownBy(() -> kept.get(JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aReclaimerMayCloseSlabsOfTheArenaThatAsks() {
    SlabArena arena = new SlabArena(account, 300_000, 1);
    List<SlabArena.Slab> slabs = new ArrayList<>();
    try (Budget.Registration _ =
        budget.onPressure(
            Rung.DROP_PREFIXES,
            bytes -> {
              slabs.removeFirst().close();
              return 300_000;
            })) {
      for (int i = 0; i < 20; i++) {
        slabs.add(arena.allocate());
      }
    }
    assertThat(slabs).hasSize(3);
    assertThat(arena.liveSlabs()).isEqualTo(3);
    arena.close();
  }

  @Test
  void noTwoThreadsGetOneSlab() throws Exception {
    SlabArena arena = new SlabArena(account, 512, 32);
    try (var threads = Executors.newFixedThreadPool(8)) {
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        long mark = t + 1;
        tasks.add(() -> {
          for (int i = 0; i < 1_000; i++) {
            List<SlabArena.Slab> mine = new ArrayList<>();
            for (int n = 0; n < 5; n++) {
              mine.add(arena.allocate());
              mine.get(n).segment().set(JAVA_LONG, 0, mark);
            }
            for (SlabArena.Slab slab : mine) {
              assertThat(slab.segment().get(JAVA_LONG, 0)).isEqualTo(mark);
              slab.close();
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
