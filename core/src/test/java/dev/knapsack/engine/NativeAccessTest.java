package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A guest in a JVM that denies native access answers all the same, and says why it is slower. */
class NativeAccessTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "--add-modules=jdk.incubator.vector, vector",
    "--add-modules=java.base, scalar",
  })
  void deniedIsNotNeeded(String modules, String expected) throws Exception {
    Path model = TinyModel.dense(folder, Formats.Q8_0);
    List<String> here = run(model, modules, "--enable-native-access=ALL-UNNAMED");
    List<String> denied = run(model, modules, "--illegal-native-access=deny");
    if (KernelProvider.here().contains(KernelProvider.X86)) {
      assertThat(here.getFirst()).startsWith("x86");
    }
    assertThat(denied.getFirst())
        .startsWith(expected)
        .contains(expected.equals("vector") ? "denies native access" : "is not there");
    assertThat(denied.get(1)).isEqualTo("16 tokens, 0 bytes left");
  }

  private static List<String> run(Path model, String... flags) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(Arrays.asList(flags));
    command.addAll(
        List.of(
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            Guest.class.getName(),
            model.toString()));
    Process child =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    List<String> lines =
        new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    assertThat(child.waitFor()).isZero();
    return lines;
  }

  /** A program that has a model answer. */
  static final class Guest {
    private Guest() {}

    public static void main(String[] args) throws IOException {
      Budget budget = Budget.of("64MiB");
      KernelProvider.Choice kernels = KernelProvider.best();
      int tokens;
      try (ModelFile file = ModelFile.open(Path.of(args[0]));
          Engine engine =
              Engine.open(
                  file,
                  null,
                  TinyModel.plan(1, 16, TinyModel.RESIDENT),
                  new Host(budget, Host.Options.of(kernels)),
                  Engine.Options.usual());
          Answer answer = engine.start(Request.of(1, 2, 3).withMaxTokens(16))) {
        answer.text();
        tokens = answer.tokens().length;
      }
      System.out.println(kernels.reason());
      System.out.println(tokens + " tokens, " + budget.used() + " bytes left");
    }
  }
}
