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

  @ParameterizedTest
  @CsvSource({"0,0 B", "1023,1023 B", "1024,1.00 KiB", "1572864,1.50 MiB", "-52428800,-50.0 MiB"})
  void writesSizesForPeople(long bytes, String text) {
    assertThat(Budget.formatSize(bytes)).isEqualTo(text);
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
  void aReservationGrowsAndShrinks() {
    Budget budget = Budget.ofBytes(10_000);
    Account kv = budget.account("kv");
    List<Lease> given = new ArrayList<>(List.of(budget.account("idle").reserve(4_000)));
    Lease lease = kv.reserve(0);
    try (Budget.Registration _ =
        budget.onPressure(
            Rung.DROP_PREFIXES,
            kv,
            new Offering(
                4_000,
                _ -> {
                  given.forEach(Lease::close);
                  given.clear();
                  return 4_000;
                }))) {
      lease.grow(6_000);
      assertThat(lease.tryGrow(1)).as("without asking").isFalse();
      lease.grow(1_000);
      assertThat(given).as("asked").isEmpty();
      assertThat(lease.tryGrow(500)).isTrue();
      assertThat(lease.bytes()).isEqualTo(7_500).isEqualTo(kv.used());
      lease.shrink(7_000);
      assertThat(lease.bytes()).isEqualTo(500).isEqualTo(kv.used());
      assertThatThrownBy(() -> lease.shrink(501))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("'kv' reserved 500 bytes: 501");
    }
    lease.close();
    for (long more : new long[] {1, 20_000}) {
      assertThatThrownBy(() -> lease.grow(more))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("'kv'");
      assertThatThrownBy(() -> lease.tryGrow(more))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("'kv'");
    }
    assertThat(budget.used()).isZero();
    try (Lease memory = kv.lease(100)) {
      assertThatThrownBy(() -> memory.grow(1)).isInstanceOf(IllegalArgumentException.class);
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
            kv,
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
                kv,
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
                kv,
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
    try (Budget.Registration _ =
            budget.onPressure(Rung.DROP_PREFIXES, kv, new Offering(30, close));
        Budget.Registration _ = budget.onPressure(Rung.SPILL_CACHE, kv, new Offering(15, close))) {
      assertThat(kv.available()).isEqualTo(85);
      assertThatThrownBy(() -> kv.reserve(86))
          .isInstanceOf(BudgetExceededException.class)
          .hasMessageContaining("40 of the budget's 100 bytes are free");
      assertThat(kv.used()).isEqualTo(60);
      kv.reserve(70).close();
      assertThat(kv.used()).isEqualTo(30);
    }
  }

  @Test
  void whatIsTakenWhileOthersAreAskedIsExpectedBack() {
    Budget budget = Budget.ofBytes(100);
    Account kv = budget.account("kv");
    Lease lease = budget.account("other").reserve(0);
    Reclaimer hasNothingYet =
        new Reclaimer() {
          @Override
          public List<Offer> offers() {
            lease.grow(60); // just after it has said so
            return List.of();
          }

          @Override
          public long reclaim(long bytes) {
            return 0;
          }

          @Override
          public void hurry() {}
        };
    try (lease;
        Budget.Registration _ = budget.onPressure(Rung.DROP_PREFIXES, kv, hasNothingYet)) {
      assertThat(kv.expected()).isEqualTo(100);
      assertThat(kv.free()).isEqualTo(40);
    }
  }

  @Test
  void theCheapestOffersOfARungAreTakenFirstAndThoseForLaterNotAtAll() {
    Budget budget = Budget.ofBytes(100);
    Account kv = budget.account("kv");
    List<String> asked = new ArrayList<>();
    try (Lease dear = kv.reserve(40);
        Lease cheap = kv.reserve(40);
        Lease slow = kv.reserve(20);
        Budget.Registration _ =
            budget.onPressure(Rung.SPILL_CACHE, kv, offering(asked, "dear", 40, 8));
        Budget.Registration _ =
            budget.onPressure(Rung.SPILL_CACHE, kv, offering(asked, "cheap", 20, 2));
        Budget.Registration _ =
            budget.onPressure(Rung.DROP_PREFIXES, kv, offering(asked, "first", 10, 100));
        Budget.Registration _ =
            budget.onPressure(
                Rung.DROP_PREFIXES,
                kv,
                new Offering(List.of(new Offer(20, 0, false)), bytes -> 0))) {
      assertThat(dear.bytes() + cheap.bytes() + slow.bytes()).isEqualTo(budget.used());
      assertThat(kv.available()).isEqualTo(70);
      assertThat(kv.expected()).isEqualTo(90);
      assertThatThrownBy(() -> kv.reserve(71)).isInstanceOf(BudgetExceededException.class);
      assertThat(asked).isEmpty();
      assertThatThrownBy(() -> kv.reserve(70)).isInstanceOf(BudgetExceededException.class);
      assertThat(asked).containsExactly("first 10", "cheap 20", "dear 40");
      asked.clear();
      budget.askingNobody(() ->
          assertThatThrownBy(() -> kv.reserve(1)).isInstanceOf(BudgetExceededException.class));
      assertThat(asked).isEmpty();
    }
  }

  /** Offers that are not kept. */
  private static Offering offering(List<String> asked, String name, long bytes, double seconds) {
    return new Offering(
        List.of(new Offer(bytes, seconds, true)),
        wanted -> {
          asked.add(name + " " + wanted);
          return 0;
        });
  }

  @Test
  void aFloorIsThereForItsTenantAndNothingBelowItIsAskedFor() {
    Budget budget = Budget.ofBytes(1000);
    Account first = budget.account("first/kv");
    Account second = budget.account("second/kv");
    Deque<Lease> held = new ArrayDeque<>();
    Budget.Registration floor = budget.account("first").entitle(300, 1);
    Budget.Registration other = budget.account("second").entitle(200, 1);
    assertThat(first.free()).isEqualTo(800);
    assertThat(budget.account("third").free()).isEqualTo(500);
    for (int i = 0; i < 8; i++) {
      held.push(first.reserve(100));
    }
    assertThatThrownBy(() -> first.reserve(1)).isInstanceOf(BudgetExceededException.class);
    Offering idle =
        new Offering(
            800,
            bytes -> {
              for (long given = 0; given < bytes; given += 100) {
                held.pop().close();
              }
              return bytes;
            });
    try (Budget.Registration _ = budget.onPressure(Rung.DROP_PREFIXES, first, idle)) {
      assertThat(first.available()).isEqualTo(800);
      assertThat(second.available()).isEqualTo(700);
      assertThat(budget.account("third").available()).isEqualTo(500);
      try (Lease more = second.reserve(400)) {
        assertThat(more.bytes()).isEqualTo(400);
        assertThat(first.used()).isEqualTo(600);
        try (Lease most = second.reserve(300)) {
          assertThat(most.bytes()).isEqualTo(300);
          assertThat(first.used()).isEqualTo(300);
          assertThatThrownBy(() -> second.reserve(1)).isInstanceOf(BudgetExceededException.class);
        }
      }
    }
    assertThatThrownBy(() -> budget.account("first").entitle(1, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("a name of its own");
    assertThatThrownBy(() -> budget.account("third").entitle(501, 1))
        .isInstanceOf(BudgetExceededException.class);
    assertThatThrownBy(() -> budget.account("third").entitle(1, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(budget.used()).isEqualTo(300);
    floor.close();
    other.close();
    assertThat(second.free()).isEqualTo(700);
    held.forEach(Lease::close);
    assertThat(budget.used()).isZero();
  }

  /** Tenants that take, give back and reclaim from each other at random. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void whateverHappensFloorsHoldAndTheSumIsTheTotal(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Budget budget = Budget.ofBytes(1000);
    long[] floors = {random.nextLong(300), random.nextLong(300), 0};
    List<Account> tenants = new ArrayList<>();
    List<Deque<Lease>> held = new ArrayList<>();
    int[] asker = {0};
    int[] refused = {0};
    for (int i = 0; i < floors.length; i++) {
      int tenant = i;
      Account account = budget.account("t" + i);
      Deque<Lease> leases = new ArrayDeque<>();
      tenants.add(account);
      held.add(leases);
      if (floors[i] > 0) {
        account.entitle(floors[i], 1);
      }
      Reclaimer idle =
          new Reclaimer() {
            @Override
            public List<Offer> offers() {
              return List.of(new Offer(account.used(), tenant * account.used(), true));
            }

            @Override
            public long reclaim(long bytes) {
              if (asker[0] != tenant) {
                assertThat(bytes).isLessThanOrEqualTo(account.used() - floors[tenant]);
              }
              long given = 0;
              while (given < bytes) {
                Lease lease = leases.pop();
                given += lease.bytes();
                lease.close();
              }
              return given;
            }

            @Override
            public void hurry() {}
          };
      budget.onPressure(Rung.DROP_PREFIXES, account, idle);
    }
    for (int i = 0; i < 3000; i++) {
      int tenant = random.nextInt(floors.length);
      asker[0] = tenant;
      Account account = tenants.get(tenant);
      if (random.nextInt(4) == 0 && !held.get(tenant).isEmpty()) {
        held.get(tenant).pop().close();
      } else {
        long missing = floors[tenant] - account.used();
        long bytes = random.nextLong(1, 200);
        try {
          held.get(tenant).push(account.reserve(bytes));
        } catch (BudgetExceededException e) {
          refused[0]++;
          assertThat(bytes).isGreaterThan(missing);
        }
      }
      Budget.Snapshot now = budget.snapshot();
      assertThat(now.used() + now.free()).isEqualTo(1000);
      assertThat(now.own().values().stream().mapToLong(Long::longValue).sum())
          .isEqualTo(now.used());
      for (int t = 0; t < floors.length; t++) {
        assertThat(tenants.get(t).free()).isGreaterThanOrEqualTo(floors[t] - tenants.get(t).used());
      }
    }
    assertThat(refused[0]).isZero();
  }

  @Test
  void claimsAreServedByWeightAndNobodyStarves() {
    Budget budget = Budget.ofBytes(1000);
    Account light = budget.account("light");
    Account heavy = budget.account("heavy");
    heavy.entitle(0, 3);
    List<String> woken = new ArrayList<>();
    Claim lights = budget.claim(light, 10, () -> woken.add("light"));
    assertThat(budget.isClaimed()).isTrue();
    Claim heavies = budget.claim(heavy, 10, () -> woken.add("heavy"));
    int[] served = new int[2];
    for (int i = 0; i < 400; i++) {
      // Each asks again as soon as it has been served.
      if (lights.isNext()) {
        assertThat(heavies.isNext()).isFalse();
        lights.fulfil();
        served[0]++;
        lights = budget.claim(light, 10, () -> woken.add("light"));
      } else {
        heavies.fulfil();
        served[1]++;
        heavies = budget.claim(heavy, 10, () -> woken.add("heavy"));
      }
    }
    assertThat(served[0]).isBetween(99, 101);
    // Nobody is woken by what it does itself.
    budget.announce();
    assertThat(woken).isEmpty();
    lights.close();
    lights.close();
    assertThat(heavies.isNext()).isTrue();
    heavies.close();
    assertThat(budget.isClaimed()).isFalse();
  }

  @Test
  void whatIsGivenBackWakesWhoWaits() throws InterruptedException {
    Budget budget = Budget.ofBytes(100);
    Account kv = budget.account("kv");
    List<String> told = new ArrayList<>();
    Reclaimer busy =
        new Reclaimer() {
          @Override
          public List<Offer> offers() {
            return List.of(new Offer(100, 0, false));
          }

          @Override
          public long reclaim(long bytes) {
            return 0;
          }

          @Override
          public void hurry() {
            told.add("hurry");
          }
        };
    Lease lease = kv.reserve(100);
    try (Budget.Registration _ = budget.onPressure(Rung.DROP_PREFIXES, kv, busy);
        Claim claim = budget.claim(kv, 50, () -> told.add("woken"))) {
      assertThat(claim.isNext()).isTrue();
      assertThat(told).containsExactly("hurry");
      Thread other = Thread.ofPlatform().start(lease::close);
      other.join();
      assertThat(told).containsExactly("hurry", "woken");
      kv.reserve(50).close();
      claim.fulfil();
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

  @Test
  void aContainerThatItsProgramMayFillIsRefusedWithNumbers() {
    assertThat(BudgetExceededException.ofContainer(1000, 800, 250, 100))
        .hasMessageContaining("1,000 bytes, and the program may take 1,150")
        .hasMessageContaining("up to 800, 250")
        .hasMessageContaining("(150 missing)");
  }
}
