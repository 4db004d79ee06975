package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code knapsack plan} as typed, and plans that {@code run} is given. */
class PlanCommandTest {
  @TempDir Path home;
  private Shell shell;
  private Path stories;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
    stories = Shell.data("models/stories260K.gguf");
  }

  @Test
  void theTableNamesAccountsChoicesAndSpeed() {
    Shell.Result result = shell.run("plan", stories, "--memory", "3GiB", "-c", 128).succeeded();
    assertThat(result.out())
        .contains("in 3.00 GiB: 128 tokens of context, 1 sequence")
        .containsPattern("jvm +[\\d,]+ ")
        .containsPattern("weights +[\\d,]+ ")
        .containsPattern("kv +[\\d,]+ ")
        .containsPattern("CHOICE +BYTES +DECODE +COST")
        .containsPattern("Expect: prefill [\\d.]+ tok/s, decode [\\d.]+ tok/s");
    assertThat(result.err()).isEmpty();
  }

  @Test
  void jsonSumsUp() {
    JsonObject plan =
        shell.run("plan", stories, "-m", "3GiB", "-c", 128, "--json").succeeded().json();
    assertThat(plan.get("budget").getAsLong()).isEqualTo(3L << 30);
    assertThat(plan.get("context").getAsInt()).isEqualTo(128);
    long sum = 0;
    for (var share : plan.getAsJsonArray("shares")) {
      sum += share.getAsJsonObject().get("bytes").getAsLong();
    }
    assertThat(sum).isPositive().isLessThanOrEqualTo(3L << 30);
  }

  @Test
  void aSavedPlanIsWhatARunUses() throws IOException {
    Path saved = home.resolve("plan.json");
    Shell.Result planned =
        shell
            .run(
                "plan",
                stories,
                "-m",
                "3GiB",
                "-c",
                20,
                "--kv-format",
                "f32",
                "--save",
                saved,
                "--json")
            .succeeded();
    assertThat(saved).hasContent(planned.out());
    assertThat(shell.run("plan", stories, "--plan", saved, "--json").out())
        .isEqualTo(planned.out());
    // Edited: the run takes the shorter context from the file.
    Files.writeString(saved, Files.readString(saved).replace("\"context\": 20", "\"context\": 12"));
    Shell.Result run =
        shell
            .run("run", stories, "--plan", saved, "--raw", "-p", "", "--greedy", "--ignore-end")
            .succeeded();
    assertThat(run.err()).contains("the context of 12 tokens is full");
  }

  @Test
  void aRecipeIsPlannedAndRun() throws IOException {
    Path saved = home.resolve("plan.json");
    Shell.Result planned =
        shell
            .run(
                "plan",
                stories,
                "-m",
                "3GiB",
                "-c",
                512,
                "--kv",
                "streaming(4, 60)",
                "--save",
                saved)
            .succeeded();
    assertThat(planned.out())
        .contains("512 tokens in F16, streaming(4) uniform(64): at most 127 kept");
    Object[] answer = {"--raw", "-p", "Once", "--greedy", "--ignore-end", "-n", 200};
    String said = run(answer, "--plan", saved);
    String written = "when=block(64) score=streaming(4) budget=uniform(64) action=evict";
    assertThat(run(answer, "-c", 512, "--kv", written)).isEqualTo(said);
    assertThat(run(answer, "-c", 512, "--kv", "full")).isNotEqualTo(said);
  }

  private String run(Object[] answer, Object... how) {
    List<Object> all = new ArrayList<>(List.of("run", stories));
    all.addAll(List.of(answer));
    all.addAll(List.of(how));
    return shell.run(all.toArray()).succeeded().out();
  }

  @Test
  void tokensGoToDiskWhereTheUserSaysSo() throws IOException {
    Object[] resident = {"-m", "3GiB", "-c", 2048, "--kv-resident", 512};
    List<Object> plan = new ArrayList<>(List.of("plan"));
    plan.addAll(List.of(resident));
    assertThat(shell.run(plan.toArray()).succeeded().out())
        .containsPattern(
            "2,048 tokens in F16, the last 512 in memory, up to [\\d.]+ [KM]iB on disk")
        .containsPattern("when full, [\\d.]+ [KM]iB on disk and [\\d.]+ tok/s");
    Path folder = home.resolve("spill");
    List<Object> run = new ArrayList<>(List.of("run", "-p", "Hi", "-n", 3, "--kv-spill", folder));
    run.addAll(List.of(resident));
    shell.run(run.toArray()).succeeded();
    assertThat(folder).isEmptyDirectory();
    Files.delete(folder);
    Files.writeString(folder, "not a folder");
    shell.run(run.toArray()).failed(4, "cannot be kept in " + folder, "name another folder");
    shell
        .run("plan", stories, "--kv", "streaming", "--kv-resident", 512)
        .failed(2, "score=streaming(4)", "none to keep on disk");
    shell.run("plan", stories, "--kv-resident", -1).failed(2, "-1 tokens");
  }

  @Test
  void autoLeavesTheFormatToThePlan() {
    String auto =
        shell.run("plan", stories, "-m", "3GiB", "--kv", "auto", "--json").succeeded().out();
    assertThat(auto).contains("\"keyFormat\": \"F16\"", "\"recipe\": \"full\"");
    shell
        .run("plan", stories, "--kv", "auto", "--kv-format", "q8_0")
        .failed(2, "--kv auto", "Q8_0", "one of them");
  }

  @Test
  void headsAreRotatedOrReordered() {
    Path notes = Shell.data("notes/notes-2.6m-q8_0.gguf");
    Object[] plan = {"plan", notes, "-m", "3GiB", "--kv-format", "bfp4", "--json"};
    assertThat(shell.run(with(plan, "--kv-reorder")).succeeded().out())
        .contains("\"rotated\": false", "\"reordered\": true", "BFP4, reordered");
    assertThat(shell.run(with(plan, "--kv-reorder", "--no-kv-rotate")).succeeded().out())
        .contains("\"reordered\": true");
    shell
        .run(with(plan, "--kv-reorder", "--kv-rotate"))
        .failed(2, "--kv-rotate and --kv-reorder exclude each other");
  }

  private static Object[] with(Object[] line, String... more) {
    return Stream.concat(Stream.of(line), Stream.of(more)).toArray();
  }

  @Test
  void whatDoesNotFitSaysWhatIsMissingAndWhatWouldFit() {
    for (String command : new String[] {"plan", "run"}) {
      Shell.Result result =
          command.equals("plan")
              ? shell.run(command, stories, "--memory", "8MiB", "-c", 64)
              : shell.run(command, stories, "--memory", "8MiB", "-c", 64, "-p", "Once");
      result.failed(3, "with 64 tokens of context needs at least ", " more than the budget of ");
      assertThat(result.err())
          .containsPattern("needs at least [\\d,]+ bytes .*, [\\d,]+ more than")
          .containsPattern("Give it --memory \\d+MiB");
    }
  }

  @Test
  void aPlanThatIsNone() throws IOException {
    Path file = Files.writeString(home.resolve("no-plan.json"), "{\"version\": 7}");
    shell
        .run("run", stories, "--plan", file, "-p", "Once")
        .failed(4, file.toString(), "version", "7 is not supported", "--save");
    shell
        .run("run", stories, "--plan", home.resolve("none.json"), "-p", "Once")
        .failed(4, "none.json: there is no such file");
  }

  @Test
  void aPlanForAnotherModel() {
    Path saved = home.resolve("plan.json");
    shell.run("plan", "--save", saved, "-m", "3GiB").succeeded();
    shell
        .run("run", stories, "--plan", saved, "-p", "Once")
        .failed(4, saved.toString(), "a plan for", "not for stories260K", "--save");
  }
}
