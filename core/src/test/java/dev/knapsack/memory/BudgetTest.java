package dev.knapsack.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BudgetTest {
  private static final long MIB = 1 << 20;

  @ParameterizedTest
  @CsvSource({
    "2GiB, 2147483648",
    "512MiB, 536870912",
    "1.5G, 1610612736",
    "800000000, 800000000",
    "64k, 65536",
    "3 MB, 3145728",
    "10B, 10"
  })
  void readsSizesAsPeopleWriteThem(String size, long bytes) {
    assertThat(Budget.parseSize(size)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "lots", "-1", "1.GiB", "2PiB", "99999999999999999999"})
  void refusesWhatIsNoSize(String size) {
    assertThatThrownBy(() -> Budget.parseSize(size))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'" + size + "'")
        .hasMessageContaining("2GiB");
  }

  @Test
  void leasesAreZeroedAlignedAndChargedInPages() {
    Budget budget = Budget.ofBytes(MIB);
    Account weights = budget.account("weights");
    try (Lease lease = weights.lease(5000)) {
      assertThat(lease.bytes()).isEqualTo(8192);
      assertThat(budget.used()).isEqualTo(8192);
      MemorySegment segment = lease.segment();
      assertThat(segment.byteSize()).isEqualTo(5000);
      assertThat(segment.address() % 4096).isZero();
      assertThat(segment.toArray(JAVA_BYTE)).containsOnly(0);
      segment.fill((byte) 7);
    }
    assertThat(budget.used()).isZero();
    assertThat(budget.free()).isEqualTo(MIB);
    assertThat(weights.peak()).isEqualTo(8192);
    assertThat(budget.peak()).isEqualTo(8192);
  }

  @Test
  void overdraftNamesTheAccountAndTheFigures() {
    Budget budget = Budget.ofBytes(10_000);
    Account kv = budget.account("kv");
    try (Lease held = kv.reserve(9_000)) {
      assertThatThrownBy(() -> kv.reserve(1_001))
          .isInstanceOf(BudgetExceededException.class)
          .hasMessageContaining("'kv'")
          .hasMessageContaining("1,001")
          .hasMessageContaining("(1 missing)");
      assertThatThrownBy(() -> kv.lease(1_000)).isInstanceOf(BudgetExceededException.class);
      assertThatThrownBy(() -> kv.lease(Long.MAX_VALUE - 4096))
          .isInstanceOf(BudgetExceededException.class);
      assertThatThrownBy(held::segment).hasMessageContaining("'kv'");
      assertThat(budget.used()).isEqualTo(9_000);
    }
  }

  @Test
  void doubleCloseAndUseAfterCloseAreErrorsWithTheAccountsName() {
    Lease lease = Budget.ofBytes(MIB).account("adapters").lease(100);
    MemorySegment kept = lease.segment();
    lease.close();
    assertThatThrownBy(lease::close)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("'adapters'");
    assertThatThrownBy(lease::segment)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("'adapters'");
    assertThatThrownBy(() -> kept.get(JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void anAccountCountsItsParts() {
    Budget budget = Budget.ofBytes(MIB);
    Account stream = budget.account("weights/stream");
    Account weights = budget.account("weights");
    assertThat(stream.parent()).isSameAs(weights);
    try (Lease a = weights.reserve(100);
        Lease b = stream.reserve(20)) {
      assertThat(weights.used()).isEqualTo(120);
      assertThat(weights.own()).isEqualTo(100);
      assertThat(stream.used()).isEqualTo(20);
      assertThat(budget.used()).isEqualTo(120);
      assertThat(budget.snapshot().own())
          .containsEntry("weights", 100L)
          .containsEntry("weights/stream", 20L);
      assertThat(a.bytes() + b.bytes()).isEqualTo(120);
    }
    assertThat(weights.used()).isZero();
    assertThat(weights.peak()).isEqualTo(120);
    assertThat(budget.accounts()).containsExactly(weights, stream);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/a", "a/", "a//b"})
  void refusesWhatIsNoAccountName(String name) {
    assertThatThrownBy(() -> Budget.ofBytes(1).account(name))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'" + name + "'");
  }

  @Test
  void pressureClimbsTheLadderUntilTheLeaseFits() {
    Budget budget = Budget.ofBytes(100);
    Account kv = budget.account("kv");
    List<String> asked = new ArrayList<>();
    Lease prefixes = kv.reserve(40);
    Lease experts = kv.reserve(60);
    Budget.Registration last =
        budget.onPressure(
            Rung.SHRINK_EXPERTS,
            new Offering(
                60,
                bytes -> {
                  asked.add("experts " + bytes);
                  experts.close();
                  return 60;
                }));
    try (Budget.Registration _ =
            budget.onPressure(
                Rung.SPILL_CACHE,
                new Offering(
                    0,
                    bytes -> {
                      asked.add("spill " + bytes);
                      // A reclaimer that needs room itself must not climb the ladder again.
                      assertThatThrownBy(() -> kv.reserve(100))
                          .isInstanceOf(BudgetExceededException.class);
                      return 0;
                    }));
        Budget.Registration _ =
            budget.onPressure(
                Rung.DROP_PREFIXES,
                new Offering(
                    40,
                    bytes -> {
                      asked.add("prefixes " + bytes);
                      prefixes.close();
                      return 40;
                    }))) {
      kv.reserve(30).close();
      assertThat(asked).containsExactly("prefixes 30");
    }
    asked.clear();
    kv.reserve(90).close();
    assertThat(asked).containsExactly("experts 50");
    last.close();
    assertThatThrownBy(() -> kv.reserve(101)).isInstanceOf(BudgetExceededException.class);
    assertThat(asked).hasSize(1);
  }

  @Test
  void nobodyGivesBackForWhatWouldNotFitEvenSo() {
    Budget budget = Budget.ofBytes(100);
    Account kv = budget.account("kv");
    Lease first = kv.reserve(30);
    Lease second = kv.reserve(30);
    LongUnaryOperator close =
        bytes -> {
          (bytes > 15 ? first : second).close();
          return 30;
        };
    try (Budget.Registration _ = budget.onPressure(Rung.DROP_PREFIXES, new Offering(30, close));
        Budget.Registration _ = budget.onPressure(Rung.SPILL_CACHE, new Offering(15, close))) {
      assertThat(budget.available()).isEqualTo(85);
      assertThatThrownBy(() -> kv.reserve(86))
          .isInstanceOf(BudgetExceededException.class)
          .hasMessageContaining("40 of the budget's 100 bytes are free");
      assertThat(kv.used()).isEqualTo(60);
      kv.reserve(70).close();
      assertThat(kv.used()).isEqualTo(30);
    }
  }

  @Test
  void usedAndFreeSumToTheTotalUnderSixteenThreads() throws Exception {
    Budget budget = Budget.ofBytes(4 * MIB);
    String[] names = {"weights", "weights/stream", "kv", "kv/0", "kv/0/1", "activations"};
    try (var threads = Executors.newFixedThreadPool(16)) {
      List<Callable<Integer>> tasks = new ArrayList<>();
      for (int seed = 0; seed < 16; seed++) {
        SplittableRandom random = new SplittableRandom(seed);
        tasks.add(() -> leaseAndCloseAtRandom(budget, names, random));
      }
      int refused = 0;
      for (Future<Integer> f : threads.invokeAll(tasks)) {
        refused += f.get();
      }
      assertThat(refused).as("the budget was tight at times").isPositive();
    }
    assertThat(budget.used()).isZero();
    assertThat(budget.peak()).isBetween(3 * MIB, 4 * MIB);
    assertThat(budget.accounts()).allSatisfy(a -> assertThat(a.used()).isZero());
  }

  private static int leaseAndCloseAtRandom(Budget budget, String[] names, SplittableRandom random) {
    int refused = 0;
    Deque<Lease> held = new ArrayDeque<>();
    for (int i = 0; i < 1_000; i++) {
      if (held.size() > 8 || (random.nextInt(5) < 2 && !held.isEmpty())) {
        Lease lease = held.pop();
        assertThat(lease.segment().get(JAVA_BYTE, 0)).isEqualTo((byte) 1);
        lease.close();
      } else {
        try {
          Lease lease =
              budget.account(names[random.nextInt(names.length)]).lease(random.nextLong(1, 99_999));
          assertThat(lease.segment().get(JAVA_BYTE, 0)).isZero();
          lease.segment().set(JAVA_BYTE, 0, (byte) 1);
          held.push(lease);
        } catch (BudgetExceededException full) {
          refused++;
          assertThat(full.requested()).isGreaterThan(full.free());
        }
      }
      Budget.Snapshot now = budget.snapshot();
      assertThat(now.used() + now.free()).isEqualTo(budget.total());
      assertThat(now.own().values().stream().mapToLong(Long::longValue).sum())
          .isEqualTo(now.used());
      assertThat(now.used()).isBetween(0L, budget.total());
    }
    held.forEach(Lease::close);
    return refused;
  }
}
