package dev.knapsack.memory;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.os.Footprint;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the kernel counts of what is leased; by itself, as it counts all of the process. */
@Isolated
class ResidentTest {
  private static final long MIB = 1 << 20;

  /** What the JVM itself may take meanwhile, or give back. */
  private static final long JVM = 48 * MIB;

  @ParameterizedTest
  @ValueSource(longs = {3 * MIB, 64 * MIB})
  void memoryIsResidentOnceTouchedAndGoneWhenClosed(long bytes) {
    Account account = Budget.ofBytes(1024 * MIB).account("weights");
    int leases = (int) (192 * MIB / bytes);
    long before = resident();
    List<Lease> held = new ArrayList<>();
    for (int i = 0; i < leases; i++) {
      held.add(account.lease(bytes));
    }
    assertThat(resident() - before).as("untouched").isLessThan(JVM);
    held.forEach(lease -> lease.segment().fill((byte) 1));
    assertThat(resident() - before).as("touched").isBetween(192 * MIB - JVM, account.used() + JVM);
    held.forEach(Lease::close);
    assertThat(resident() - before).as("closed").isLessThan(JVM);
  }

  private static long resident() {
    return Footprint.now().orElseThrow().resident();
  }
}
