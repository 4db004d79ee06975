package dev.knapsack.kernel.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class CpuTest {
  /** What Linux says of the processor, it has asked of it as well. */
  @Test
  @EnabledOnOs(
      value = OS.LINUX,
      architectures = {"amd64", "x86_64"},
      disabledReason = "/proc/cpuinfo of Linux on x86-64 is what is compared with")
  void agreesWithTheKernel() throws IOException {
    Set<String> flags = flags();
    boolean avx2 = flags.containsAll(List.of("avx", "avx2", "fma", "f16c"));
    assertThat(Cpu.detect())
        .isEqualTo(
            new Cpu(
                avx2,
                avx2 && flags.contains("avx_vnni"),
                avx2
                    && flags.containsAll(
                        List.of("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"))));
  }

  private static Set<String> flags() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
      if (line.startsWith("flags")) {
        return new HashSet<>(Arrays.asList(line.split("[\\s:]+")));
      }
    }
    throw new IOException("/proc/cpuinfo has no flags");
  }
}
