package dev.knapsack.os;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class FootprintTest {
  private static final long MIB = 1 << 20;

  @TempDir private Path root;

  private Path write(String path, String... lines) throws IOException {
    Path file = root.resolve(path);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, String.join("\n", lines) + "\n");
  }

  private Optional<Cgroup> cgroup() {
    return Cgroup.of(root.resolve("proc/self"), root);
  }

  private void process(String cgroup, String... mounts) throws IOException {
    write("proc/self/cgroup", cgroup);
    write("proc/self/mountinfo", mounts);
  }

  private static final String V1 =
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory";
  private static final String V2 =
      "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

  @Test
  void versionOneTakesTheSmallestLimitOnTheWayUp() throws IOException {
    process("5:devices:/\n4:cpu,memory:/a/b\n0::/", "1 0 8:1 / / rw - ext4 /dev/sda rw", V1);
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000000");
    write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "2000000");
    write("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "77");
    Cgroup group = cgroup().orElseThrow();
    assertThat(group.version()).isEqualTo(1);
    assertThat(group.limit()).contains(1000000L);
    assertThat(group.usage()).isEqualTo(77);
    assertThat(group.directory()).isEqualTo(root.resolve("sys/fs/cgroup/memory/a/b"));
  }

  @Test
  void versionOneKnowsLimitsAboveTheContainer() throws IOException {
    process("4:memory:/docker/abc", V1.replace("0:32 / ", "0:32 /docker/abc "));
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "5");
    write("sys/fs/cgroup/memory/memory.stat", "cache 1", "hierarchical_memory_limit 300000");
    Cgroup group = cgroup().orElseThrow();
    assertThat(group.limit()).contains(300000L);
    assertThat(group.directory()).isEqualTo(root.resolve("sys/fs/cgroup/memory"));
  }

  @Test
  void versionTwoTakesTheSmallestOfMaxAndHighOnTheWayUp() throws IOException {
    process("0::/user.slice/app.scope", V2);
    write("sys/fs/cgroup/user.slice/memory.max", "500000");
    write("sys/fs/cgroup/user.slice/app.scope/memory.max", "max");
    write("sys/fs/cgroup/user.slice/app.scope/memory.current", "123");
    assertThat(cgroup()).map(Cgroup::version).contains(2);
    assertThat(cgroup().flatMap(Cgroup::limit)).contains(500000L);
    assertThat(cgroup()).map(Cgroup::usage).contains(123L);
    write("sys/fs/cgroup/user.slice/app.scope/memory.high", "400000");
    assertThat(cgroup().flatMap(Cgroup::limit)).contains(400000L);
  }

  @Test
  void aPathThatTheMountDoesNotShowMeansItsTop() throws IOException {
    process("0::/../../host/path", V2.replace("/sys/fs/cgroup ", "/sys/fs/c\\040group "));
    write("sys/fs/c group/memory.max", "600000");
    write("sys/fs/c group/memory.current", "1");
    assertThat(cgroup().flatMap(Cgroup::limit)).contains(600000L);
  }

  @Test
  void noLimitIsNoLimit() throws IOException {
    process("0::/x", V2);
    write("sys/fs/cgroup/x/memory.max", "max");
    write("sys/fs/cgroup/x/memory.current", "9");
    assertThat(cgroup()).isPresent();
    assertThat(cgroup().flatMap(Cgroup::limit)).isEmpty();
  }

  @Test
  void aMachineWithoutMemoryCgroupsHasNone() throws IOException {
    assertThat(cgroup()).isEmpty();
    process("1:name=systemd:/", "1 0 8:1 / / rw - ext4 /dev/sda rw", "broken line");
    assertThat(cgroup()).isEmpty();
    process("4:memory:/a\n0::/", "41 31 0:38 / /unified rw - cgroup2 cgroup2 rw");
    assertThat(cgroup()).isEmpty();
  }

  @Test
  void readsTheKernelsFigures() throws IOException {
    Path status =
        write(
            "status",
            "Name:\tjava",
            "VmHWM:\t  300 kB",
            "VmRSS:\t  200 kB",
            "RssAnon:\t  150 kB",
            "RssFile:\t   40 kB",
            "RssShmem:\t   10 kB",
            "Threads:\t9");
    assertThat(Footprint.of(status))
        .contains(new Footprint(200 << 10, 300 << 10, 150 << 10, 40 << 10, 10 << 10));
    assertThat(Footprint.of(root.resolve("none"))).isEmpty();
    Path meminfo = write("meminfo", "MemTotal: 900 kB", "MemAvailable:   500 kB");
    assertThat(Footprint.available(meminfo)).isEqualTo(OptionalLong.of(500 << 10));
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void knowsThisProcess() {
    Footprint now = Footprint.now().orElseThrow();
    assertThat(now.resident()).isBetween(10 * MIB, now.peak());
    assertThat(now.anonymous() + now.file() + now.shared())
        .isCloseTo(now.resident(), org.assertj.core.data.Percentage.withPercentage(5));
    assertThat(Footprint.available().orElseThrow()).isPositive();
  }

  @Test
  void theDefaultBudgetLeavesItsMargin() {
    assertThat(Footprint.defaultBudget(Optional.of(2000 * MIB), 8000 * MIB)).isEqualTo(1800 * MIB);
    assertThat(Footprint.defaultBudget(Optional.of(9000 * MIB), 8000 * MIB)).isEqualTo(7200 * MIB);
    assertThat(Footprint.defaultBudget(Optional.empty(), 320 * MIB)).isEqualTo(256 * MIB);
    assertThat(Footprint.defaultBudget(Optional.empty(), 100 * MIB)).isEqualTo(50 * MIB);
    assertThat(Footprint.defaultBudget()).isPositive();
  }

  @Test
  void aGuestHasWhatItsHostLeavesOfTheContainer() {
    ContainerShare share =
        ContainerShare.of(Optional.of(1000 * MIB), 8000 * MIB, 256 * MIB, 120 * MIB);
    assertThat(share.margin()).isEqualTo(100 * MIB);
    assertThat(share.left()).isEqualTo((1000 - 256 - 120 - 100) * MIB);
    assertThat(ContainerShare.of(Optional.empty(), 640 * MIB, 256 * MIB, 120 * MIB).left())
        .isEqualTo((640 - 256 - 120 - 64) * MIB);
    assertThat(ContainerShare.of(Optional.of(300 * MIB), 8000 * MIB, 256 * MIB, 120 * MIB).left())
        .isNegative();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void theHostsShareIsMeasured() {
    ContainerShare before = ContainerShare.now().orElseThrow();
    assertThat(before.heap()).isEqualTo(Runtime.getRuntime().maxMemory());
    assertThat(before.outside()).isBetween(10 * MIB, Footprint.now().orElseThrow().peak());
    try (Arena arena = Arena.ofConfined()) {
      arena.allocate(64 * MIB).fill((byte) 1); // such as a direct buffer
      ContainerShare after = ContainerShare.now().orElseThrow();
      assertThat(after.outside() - before.outside()).isBetween(40 * MIB, 160 * MIB);
    }
  }
}
