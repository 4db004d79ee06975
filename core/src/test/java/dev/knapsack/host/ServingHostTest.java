package dev.knapsack.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Offer;
import dev.knapsack.memory.Reclaimer;
import dev.knapsack.memory.Rung;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/** The ledger of a server follows what is resident: no other test may run beside this one. */
@Isolated
class ServingHostTest {
  private static final long MIB = 1 << 20;
  private static final Host.Options OPTIONS =
      Host.Options.usual().withCache(TestData.cache()).withWholeProcess(true).withServing(true);

  /** Waits until an account holds so many bytes, or for 10 seconds. */
  private static void await(Account account, long least, long most) throws InterruptedException {
    for (int i = 0; i < 100 && (account.used() < least || account.used() > most); i++) {
      Thread.sleep(100);
    }
    assertThat(account.used()).as(account.name()).isBetween(least, most);
  }

  private static long resident() {
    return Host.resident().orElseThrow();
  }

  @Test
  void theLedgerFollowsWhatIsResident() throws InterruptedException {
    Budget budget = Budget.of("8GiB");
    Account jvm = budget.account("jvm");
    Host host = new Host(budget, OPTIONS);
    try (Host.Tenant tenant = host.enter(Host.Share.USUAL)) {
      long before = resident();
      await(jvm, before - 20 * MIB, before + 20 * MIB);
      try (Arena outside = Arena.ofShared()) {
        MemorySegment memory = outside.allocate(200 * MIB);
        memory.fill((byte) 1);
        await(jvm, before + 170 * MIB, before + 230 * MIB);
      }
      await(jvm, before - 30 * MIB, before + 30 * MIB);
      // What is leased is in an account of its own.
      try (Lease lease = tenant.account("kv").lease(200 * MIB)) {
        lease.segment().fill((byte) 1);
        Thread.sleep(600);
        await(jvm, before - 30 * MIB, before + 30 * MIB);
      }
    }
    assertThat(budget.used()).isZero();
  }

  /** Has prefixes, and gives back as many bytes of them as are asked for. */
  private record Prefixes(Lease held) implements Reclaimer {
    @Override
    public List<Offer> offers() {
      return List.of(new Offer(held.bytes(), 0, true));
    }

    @Override
    public long reclaim(long bytes) {
      long some = Math.min(held.bytes(), bytes);
      held.shrink(some);
      return some;
    }

    @Override
    public void hurry() {}
  }

  /** Not even where it followed the resident set before a plan was made. */
  @Test
  void whatPlansCountForTheJvmStaysReserved() throws InterruptedException {
    Budget budget = Budget.of("8GiB");
    try (Host.Tenant tenant = new Host(budget, OPTIONS).enter(Host.Share.USUAL)) {
      long before = resident();
      await(budget.account("jvm"), before - 20 * MIB, before + 20 * MIB);
      tenant.reserveJvm(before + 400 * MIB);
      Thread.sleep(600);
      assertThat(budget.account("jvm").used()).isEqualTo(before + 400 * MIB);
    }
  }

  @Test
  void othersGiveBackWhatTheJvmHasGrownTo() throws InterruptedException {
    Budget budget = Budget.ofBytes(resident() + 200 * MIB);
    Account account = budget.account("prefixes");
    try (Lease held = account.reserve(250 * MIB);
        Budget.Registration _ = budget.onPressure(Rung.DROP_PREFIXES, account, new Prefixes(held));
        Host.Tenant _ = new Host(budget, OPTIONS).enter(Host.Share.USUAL);
        Arena outside = Arena.ofShared()) {
      outside.allocate(300 * MIB).fill((byte) 1);
      await(account, 0, 200 * MIB);
    }
    assertThat(budget.used()).isZero();
  }
}
