package dev.knapsack.os;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CommandLineTest {
  @TempDir private Path folder;

  @Test
  void longCommandLinesAreReadWhole() throws Exception {
    String path = "library.jar:".repeat(1000);
    Path file = Files.writeString(folder.resolve("cmdline"), "java\0-cp\0" + path + "\0Main\0");
    assertThat(CommandLine.words(file)).containsExactly("-cp", path, "Main");
  }

  @Test
  void thisProcessHasItsFlags() {
    assertThat(CommandLine.words()).contains("-ea");
    assertThat(CommandLine.words(folder.resolve("none"))).isSubsetOf(CommandLine.words());
  }
}
