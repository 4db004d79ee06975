package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A recording shows where bytes and time went; without one, the recorder is not there. */
class FlightRecordingTest {
  /** A program of its own, since a process that has recorded is never again one that has not. */
  static final class Program {
    public static void main(String[] args) throws Exception {
      Budget budget = Budget.of("96MiB");
      Host host = new Host(budget);
      work(host);
      System.out.println("recording");
      try (Recording recording = new Recording()) {
        recording.enable("dev.knapsack.Plan");
        recording.enable("dev.knapsack.Step");
        recording.enable("dev.knapsack.Pressure");
        recording.start();
        work(host);
        recording.stop();
        recording.dump(Path.of(args[0]));
      }
    }

    private static void work(Host host) throws Exception {
      Options options = Options.usual().withWorkers(1);
      try (Knapsack stories =
              Knapsack.open(TestData.path("models/stories260K.gguf"), host, options);
          Embedder embedder = Embedder.open(SmallEncoders.ENCODER, host, options)) {
        stories
            .generate(
                GenerationRequest.ofText("Once upon a time there was a cat. ".repeat(10))
                    .withMaxTokens(20)
                    .withSampling(Sampling.GREEDY))
            .text();
        embedder.embed(List.of("a cat", "a kitten"));
        // The answer's prefix is still cached: it is asked for, and what is more is refused.
        Budget budget = host.budget();
        try (Lease _ = budget.account("other").reserve(budget.free() + 4096)) {
          budget.account("other").reserve(budget.total());
        } catch (BudgetExceededException e) {
          System.out.println(e.getMessage());
        }
      }
    }
  }

  @TempDir static Path folder;
  private static String said;
  private static List<RecordedEvent> events;

  @BeforeAll
  static void run() throws Exception {
    Path file = folder.resolve("events.jfr");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Xlog:class+load:stdout:none",
                "--enable-native-access=ALL-UNNAMED",
                "-Dknapsack.data=" + System.getProperty("knapsack.data"),
                "-Dknapsack.root=" + System.getProperty("knapsack.root"),
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName(),
                file.toString())
            .redirectErrorStream(true)
            .start();
    said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(said).isZero();
    assertThat(Files.size(file)).isPositive();
    events = RecordingFile.readAllEvents(file);
  }

  private static List<RecordedEvent> events(String name) {
    return events.stream()
        .filter(e -> e.getEventType().getName().equals("dev.knapsack." + name))
        .sorted(Comparator.comparing(RecordedEvent::getStartTime))
        .toList();
  }

  @Test
  void nothingOfTheRecorderIsThereUntilSomebodyRecords() {
    String before = said.substring(0, said.indexOf("recording\n"));
    assertThat(before).contains("dev.knapsack.engine.Scheduler");
    assertThat(before.lines().filter(line -> line.contains("jdk.jfr")).toList())
        .allMatch(line -> line.startsWith("jdk.jfr.FlightRecorder "));
    assertThat(said).contains("dev.knapsack.engine.StepEvent");
    assertThat(before).doesNotContain("dev.knapsack.engine.StepEvent");
  }

  @Test
  void aPlanSaysWhichBytesAModelWasGiven() {
    List<RecordedEvent> plans = events("Plan");
    assertThat(plans).hasSize(2);
    RecordedEvent stories = plans.getFirst();
    assertThat(stories.getString("model")).contains("stories");
    assertThat(stories.getLong("weights")).isGreaterThan(200_000);
    assertThat(stories.getLong("cache")).isPositive();
    assertThat(
            stories.getLong("jvm")
                + stories.getLong("weights")
                + stories.getLong("cache")
                + stories.getLong("activations"))
        .isLessThanOrEqualTo(stories.getLong("planned"));
    assertThat(stories.getLong("planned")).isLessThanOrEqualTo(stories.getLong("room"));
    assertThat(stories.getInt("sequences")).isEqualTo(1);
    assertThat(stories.getDuration()).isPositive();
    assertThat(plans.getLast().getInt("context")).isEqualTo(SmallEncoders.CONTEXT);
  }

  @Test
  void aStepSaysWhatItComputed() {
    List<RecordedEvent> steps = events("Step");
    List<RecordedEvent> answer =
        steps.stream().filter(step -> step.getString("model").contains("stories")).toList();
    // The prompt's step chooses the first token; the last token is not read.
    assertThat(answer).hasSize(20);
    assertThat(answer.getFirst().getInt("promptTokens")).isGreaterThan(1);
    assertThat(answer.subList(1, 20)).allMatch(step -> step.getInt("tokens") == 1);
    assertThat(answer).allMatch(step -> step.getInt("sequences") == 1);
    assertThat(answer)
        .allMatch(step ->
            step.getLong("cache") > 0
                && step.getLong("cache") < step.getLong("used")
                && step.getLong("used") <= 96L << 20);
    RecordedEvent texts = steps.getLast();
    assertThat(steps.size() - answer.size()).isBetween(1, 2);
    assertThat(texts.getInt("tokens")).isGreaterThan(5);
    assertThat(texts.getLong("cache")).isZero();
  }

  @Test
  void pressureSaysWhoWasAskedAndWhatCameOfIt() {
    List<RecordedEvent> pressure = events("Pressure");
    assertThat(pressure).hasSizeGreaterThanOrEqualTo(2);
    RecordedEvent asked = pressure.getFirst();
    assertThat(asked.getString("account")).isEqualTo("other");
    assertThat(asked.getString("rung")).isEqualTo("DROP_PREFIXES");
    assertThat(asked.getLong("givenBack")).isGreaterThanOrEqualTo(4096);
    RecordedEvent refused = pressure.getLast();
    assertThat(refused.getString("rung")).isNull();
    assertThat(refused.getLong("wanted")).isEqualTo(96L << 20);
    assertThat(refused.getLong("givenBack")).isZero();
    assertThat(refused.getLong("budget")).isEqualTo(96L << 20);
  }
}
