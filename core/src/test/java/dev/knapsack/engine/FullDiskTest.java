package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.FullDisk;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPool;
import dev.knapsack.error.SpillException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A disk that fills up while answers are written ends the one whose tokens it has no room for. */
class FullDiskTest {
  private static final int CONTEXT = 1300;

  @TempDir Path folder;

  private static final Plan PLAN =
      new Plan(
          "tiny",
          1L << 30,
          CONTEXT,
          2,
          Plan.Cache.of(KvFormat.of(Formats.F16, Formats.F16)).withResident(64),
          256,
          1,
          Plan.Weights.RESIDENT,
          List.of(),
          List.of(),
          new Plan.Prediction(0, 0, 0, 0, 0));

  private static Request request(int seed, int tokens) {
    return Request.of(new Random(seed).ints(tokens, 0, TinyModel.VOCABULARY).toArray())
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(20)
        .withIgnoreEnd(true);
  }

  @Test
  void endsOneAnswerAndTheOthersGoOn() {
    // The twelfth token of this one's answer makes a block, and is one too many for the disk.
    Request doomed = request(1, 64 + 1024 - 11);
    Budget budget = Budget.of("1GiB");
    Budget other = Budget.of("64MiB");
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F32));
        Engine engine =
            Engine.open(
                file, null, PLAN, new Host(budget), Engine.Options.usual().withSpill(folder));
        KvPool full = FullDisk.pool(engine.kvLayout(), other.account("kv"), folder);
        Session first = engine.session();
        Session second = engine.session()) {
      int[] expected = take(second, request(2, 50));
      Answer failing =
          engine
              .loop()
              .ask(() -> {
                Answer started = first.start(doomed);
                first.state().close();
                first.state = full.sequence();
                first.begin(doomed.prompt(), false);
                return started;
              });
      Answer going = second.start(request(2, 50));
      assertThatThrownBy(failing::text)
          .isInstanceOf(SpillException.class)
          .hasMessageContaining(folder.toString())
          .hasMessageContaining("No space left on device");
      assertThat(failing.tokens()).hasSize(11);
      failing.close();
      going.text();
      assertThat(going.tokens()).containsExactly(expected);
      going.close();
      // The session that failed is empty, and takes another request.
      assertThat(first.cachedTokens()).isZero();
      assertThat(take(first, request(2, 50))).containsExactly(expected);
    }
    assertThat(budget.used()).isZero();
    assertThat(other.used()).isZero();
  }

  @Test
  void whatCannotBeReadBackIsComputedAgain() throws IOException {
    Request request = request(1, 64 + 1024 + 50);
    Request edited = request.withPrompt(Arrays.copyOf(request.prompt(), 30));
    Budget budget = Budget.of("1GiB");
    Budget other = Budget.of("64MiB");
    List<FileChannel> files = new ArrayList<>();
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F32));
        Engine engine =
            Engine.open(
                file, null, PLAN, new Host(budget), Engine.Options.usual().withSpill(folder));
        KvPool watched =
            FullDisk.watched(engine.kvLayout(), other.account("kv"), folder, files::add);
        Session session = engine.session()) {
      int[] expected = take(session, edited);
      Answer whole =
          engine
              .loop()
              .ask(() -> {
                Answer started = session.start(request);
                session.state().close();
                session.state = watched.sequence();
                session.begin(request.prompt(), false);
                return started;
              });
      whole.text();
      files.getFirst().truncate(0);
      assertThat(take(session, edited)).containsExactly(expected);
      assertThat(engine.waiting()).isZero();
    }
    assertThat(budget.used()).isZero();
    assertThat(other.used()).isZero();
  }

  private static int[] take(Session session, Request request) {
    try (Answer answer = session.start(request)) {
      answer.text();
      return answer.tokens();
    }
  }
}
