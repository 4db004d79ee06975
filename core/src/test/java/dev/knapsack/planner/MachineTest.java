package dev.knapsack.planner;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MachineTest {
  private final Kernels kernels = KernelProvider.best().kernels();
  private final ShapeFile file =
      new ShapeFile(
          ShapeFile.spec(
              "small",
              256,
              512,
              2048,
              true,
              2,
              ShapeFile.layer(4, 4, 64, 0, ShapeFile.dense(256, 512))),
          Formats.Q8_0);

  @TempDir private Path directory;

  @Test
  void measuresOnceAndKeepsIt() throws IOException {
    Budget budget = Budget.of("8MiB");
    Machine first;
    try (WorkerTeam team = new WorkerTeam(2)) {
      MachineCache cache = new MachineCache(directory.resolve("deep/er"), 0.01, 0);
      first = cache.machine(file, kernels, team, budget.account("probe"));
      assertThat(first.kernels()).isEqualTo(kernels.name());
      assertThat(first.workers()).isEqualTo(2);
      assertThat(first.memoryBytesPerSecond()).isPositive().isFinite();
      assertThat(first.diskBytesPerSecond()).isPositive().isFinite();
      assertThat(first.formats()).containsOnlyKeys("Q8_0");
      assertThat(first.rates("Q8_0").decode()).isPositive();
      assertThat(first.rates("Q8_0").prefill()).isPositive();
      assertThat(budget.used()).isZero();

      // Measured again, some bit would differ.
      Machine again = cache.machine(file, kernels, team, Budget.ofBytes(1).account("none"));
      assertThat(again).isEqualTo(first);
    }
    try (WorkerTeam other = new WorkerTeam(1)) {
      Machine one =
          new MachineCache(directory.resolve("deep/er"), 0.01, 0)
              .machine(file, kernels, other, budget.account("probe"));
      assertThat(one.workers()).isEqualTo(1);
      assertThat(one.diskBytesPerSecond()).isEqualTo(first.diskBytesPerSecond());
    }
  }

  @Test
  void aBrokenOrUnwritableCacheIsMeasuredAnew() throws IOException {
    Path broken = Files.createDirectories(directory.resolve("broken"));
    Files.writeString(broken.resolve("machine.json"), "{\"disks\": [], ");
    Path blocked = Files.writeString(directory.resolve("a file"), "in the way");
    Budget budget = Budget.of("8MiB");
    try (WorkerTeam team = new WorkerTeam(1)) {
      for (Path path : new Path[] {broken, blocked}) {
        Machine machine =
            new MachineCache(path, 0.01, 0).machine(file, kernels, team, budget.account("probe"));
        assertThat(machine.memoryBytesPerSecond()).isPositive();
      }
    }
    assertThat(Files.readString(broken.resolve("machine.json"))).contains("Q8_0");
    assertThat(Files.readString(blocked)).isEqualTo("in the way");
  }

  @Test
  void figuresThatDecideNothingOrAreForgottenAreRough() throws IOException {
    Path blocked = Files.writeString(directory.resolve("a file"), "in the way");
    assertThat(new MachineCache(blocked, 2.5, 0).isRough(file)).isTrue();
    assertThat(new MachineCache(directory, 2.5, 0).isRough(file)).isFalse();
    MachineCache cache = new MachineCache(directory, 2.5, 64L << 20);
    assertThat(cache.isRough(file)).isTrue();
    Budget budget = Budget.of("8MiB");
    try (WorkerTeam team = new WorkerTeam(1)) {
      Machine first = cache.machine(file, kernels, team, budget.account("probe"));
      Machine again = cache.machine(file, kernels, team, Budget.ofBytes(1).account("none"));
      assertThat(again).isEqualTo(first); // kept all the same
      // What is worth it is measured well, whatever is known roughly.
      Machine well =
          new MachineCache(directory, 0.01, 0)
              .machine(file, kernels, team, budget.account("probe"));
      assertThat(well).isNotEqualTo(first);
      assertThat(cache.machine(file, kernels, team, budget.account("probe"))).isEqualTo(first);
    }
  }

  @Test
  void roughlyMemoryGivesWhatProductsHaveRead() throws IOException {
    MachineCache cache = new MachineCache(directory, 0.01, 64L << 20);
    Budget budget = Budget.of("8MiB");
    try (WorkerTeam team = new WorkerTeam(1)) {
      cache.machine(file, kernels, team, budget.account("probe"));
      Path kept = directory.resolve("machine.json");
      Files.writeString(
          kept,
          Files.readString(kept)
              .replace("memoryBytesPerSecond", "notMeasured")
              .replaceAll("\"decode\": [0-9.E-]+", "\"decode\": 1.0E15"));
      Machine machine = cache.machine(file, kernels, team, budget.account("probe"));
      assertThat(machine.memoryBytesPerSecond()).isGreaterThanOrEqualTo(1e15);
    }
  }

  @Test
  void aBudgetWithoutRoomToMeasureIsPlannedAllTheSame() {
    try (WorkerTeam team = new WorkerTeam(1)) {
      Machine machine =
          new MachineCache(directory, 0.01, 0)
              .machine(file, kernels, team, Budget.of("1MiB").account("probe"));
      assertThat(machine.rates("Q8_0").decode()).isPositive();
    }
    assertThat(directory.resolve("machine.json")).doesNotExist();
  }

  @Test
  void anUnknownFormatIsTakenForTheSlowest() {
    Machine machine =
        new Machine(
            "m",
            "scalar",
            1,
            100,
            10,
            new Machine.Rates(1, 2),
            Map.of("A", new Machine.Rates(5, 50), "B", new Machine.Rates(7, 30)));
    assertThat(machine.rates("B")).isEqualTo(new Machine.Rates(7, 30));
    assertThat(machine.rates("C")).isEqualTo(new Machine.Rates(5, 30));
    assertThat(machine.withMemory(50).rates("B")).isEqualTo(new Machine.Rates(3.5, 30));
  }

  @Test
  void theJvmsShareCoversWhatItHoldsAndWhatARunAdds() {
    long before = Footprint.now().orElseThrow().resident();
    JvmShare share = JvmShare.ofThisProcess(4, 0, false);
    assertThat(share.resident()).isGreaterThan(before / 2);
    assertThat(share.heap()).isBetween(0L, Runtime.getRuntime().maxMemory());
    assertThat(share.bytes() - share.resident()).isGreaterThan(4 * 128L << 10);
    assertThat(share.bytes())
        .isEqualTo(share.resident() + share.heap() + share.code() + share.other());
    // Callers of a server fill the heap.
    JvmShare server = JvmShare.ofThisProcess(4, 0, true);
    assertThat(server.heap()).isGreaterThan(5L << 20);
    assertThat(server.bytes()).isGreaterThan(share.bytes());
    // This JVM was started without the launcher's limit for the compiler, as a guest's is.
    assertThat(JvmShare.ofGuest(4).bytes()).isBetween(40L << 20, 41L << 20);
  }
}
