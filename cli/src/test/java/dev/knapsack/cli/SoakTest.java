package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A long run under the least budget that weights stay in keeps to it, as the kernel counts: when
 * all that runs has been compiled, and compiled again, no more is resident than the plan said.
 */
class SoakTest {
  private static final int TOKENS = 20_000;

  /** MiB that the weights take, and what starts of the JVM differ by. */
  private static final int STAYS = 4;

  @TempDir Path home;

  @Test
  void twentyThousandTokensUnderTheLeastBudget() throws Exception {
    Path model = Shell.data("models/stories260K.gguf");
    Started tooSmall = knapsack("plan", model.toString(), "--memory", "1MiB");
    Matcher least = Pattern.compile("Give it --memory (\\d+)MiB").matcher(tooSmall.err);
    assertThat(least.find()).as(tooSmall.err).isTrue();
    // In the least of all, weights may have to be read anew in every step, which takes minutes.
    String memory = Integer.parseInt(least.group(1)) + STAYS + "MiB";
    Started run =
        knapsack(
            "run",
            model.toString(),
            "--memory",
            memory,
            "--raw",
            "-p",
            "Once",
            "-n",
            Integer.toString(TOKENS),
            "--shift",
            "--ignore-end",
            "--json");
    assertThat(run.code).as(run.err).isZero();
    JsonObject result = JsonParser.parseString(run.out).getAsJsonObject();
    assertThat(result.getAsJsonArray("tokens")).hasSize(TOKENS);
    assertThat(result.getAsJsonObject("measured").get("peakResidentBytes").getAsLong())
        .isBetween(1L << 20, Budget.parseSize(memory));
  }

  private record Started(int code, String out, String err) {}

  /**
   * A process of its own, with the flags that the launcher gives, and a class path as long as that
   * of a large program.
   */
  private Started knapsack(String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(flags());
    command.addAll(
        List.of(
            "-Xmx40m",
            "-cp",
            System.getProperty("java.class.path") + ":/" + "not/there/".repeat(400),
            Main.class.getName()));
    command.addAll(Arrays.asList(arguments));
    Path out = home.resolve("out");
    Path err = home.resolve("err");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().put("MALLOC_ARENA_MAX", "2");
    builder.environment().put("XDG_CACHE_HOME", home.resolve("cache").toString());
    int code = builder.start().waitFor();
    return new Started(
        code,
        Files.readString(out, StandardCharsets.UTF_8),
        Files.readString(err, StandardCharsets.UTF_8));
  }

  private static List<String> flags() throws IOException {
    String script =
        Files.readString(Path.of(System.getProperty("knapsack.root")).resolve("knapsack"));
    Matcher flags = Pattern.compile("\nflags=\"([^\"]*)\"").matcher(script);
    assertThat(flags.find()).isTrue();
    return List.of(flags.group(1).strip().split("\\s+"));
  }
}
