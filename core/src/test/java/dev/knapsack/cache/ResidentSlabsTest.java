package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/** What the kernel counts of slabs; by itself, as it counts all of the process. */
@Isolated
class ResidentSlabsTest {
  @Test
  void whatIsFreedLeavesTheResidentSet() {
    Budget large = Budget.of("256MiB");
    Account pages = large.account("kv");
    try (SlabArena arena = new SlabArena(pages, 16 << 10, large.total())) {
      List<Integer> slabs = new ArrayList<>();
      for (int i = 0; i < 8192; i++) {
        int slab = arena.allocate();
        arena.memory().asSlice(arena.offset(slab), arena.slabBytes()).fill((byte) 1);
        slabs.add(slab);
      }
      long full = resident();
      // Every second one: without moving what is left, not a single page would be free.
      for (int i = 0; i < slabs.size(); i += 2) {
        arena.release(slabs.get(i));
      }
      arena.compact();
      assertThat(pages.used()).isEqualTo(64L << 20);
      assertThat(full - resident()).isGreaterThan(60L << 20);
    }
    assertThat(large.used()).isZero();
  }

  private static long resident() {
    return Footprint.now().orElseThrow().resident();
  }
}
