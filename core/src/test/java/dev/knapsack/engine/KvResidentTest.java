package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A context of which memory holds a part answers as one that it holds whole, in fewer bytes. */
class KvResidentTest {
  private static final int CONTEXT = 3072;

  private final KernelProvider.Choice kernels = KernelProvider.best();
  @TempDir Path folder;
  private ModelFile file;

  @BeforeEach
  void open() {
    file = ModelFile.open(TinyModel.dense(folder, Formats.F16));
  }

  @AfterEach
  void close() {
    file.close();
  }

  /** The model, as if it were trained for so much context. */
  private static ModelSpec longer(ModelSpec s) {
    return new ModelSpec(
        s.family(),
        s.name(),
        s.width(),
        s.vocabulary(),
        CONTEXT,
        s.layers(),
        s.centredNorms(),
        s.normEpsilon(),
        s.embeddingScale(),
        s.residualScale(),
        s.logitScale(),
        s.logitSoftCap(),
        s.embeddingNorm(),
        s.outputNorm(),
        s.tiedOutput(),
        s.diffusion(),
        s.encoding(),
        s.opening(),
        s.closing());
  }

  private Plan plan(PlanRequest request) {
    Planner planner =
        new Planner(
            file,
            longer(Families.spec(file)),
            TinyModel.MACHINE,
            kernels.kernels(),
            new JvmShare(4096, 0, 0, 0));
    // As it comes out of a file.
    return Plan.ofJson(planner.plan(request).toJson());
  }

  private static long share(Plan plan, String account) {
    return plan.shares().stream()
        .filter(s -> s.account().equals(account))
        .mapToLong(Plan.Share::bytes)
        .sum();
  }

  private int[][] answers(Plan plan, Request... requests) {
    Budget budget = Budget.ofBytes(plan.bytes());
    Engine.Options options = Engine.Options.usual().withSpill(folder.resolve("made/when/needed"));
    try (Engine engine =
            Engine.open(file, null, plan, new Host(budget, Host.Options.of(kernels)), options);
        Session session = engine.session()) {
      int[][] answers =
          Stream.of(requests)
              .map(request -> {
                try (Answer answer = session.start(request)) {
                  answer.text();
                  return answer.tokens();
                }
              })
              .toArray(int[][]::new);
      assertThat(budget.account("kv").peak()).isPositive().isLessThanOrEqualTo(share(plan, "kv"));
      return answers;
    } finally {
      assertThat(budget.peak()).isLessThanOrEqualTo(plan.bytes());
      assertThat(budget.used()).isZero();
    }
  }

  private static Request request(int tokens, int answer) {
    return Request.of(new Random(1).ints(tokens, 0, TinyModel.VOCABULARY).toArray())
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(answer)
        .withIgnoreEnd(true);
  }

  @Test
  void answersAsWithAllInMemory() throws IOException {
    PlanRequest all =
        PlanRequest.of(1L << 30, 1)
            .withContext(CONTEXT)
            .withPrefillChunk(128)
            .withCache(KvChoice.of(KvFormat.F16));
    Plan inMemory = plan(all);
    // So little that weights have to be read in every step, and tokens too.
    long least = plan(all.withCache(KvChoice.of(KvFormat.F16).withResident(1024))).bytes();
    Plan planned = plan(all.withBudget(least - share(inMemory, "weights") / 2));
    assertThat(planned.cache().resident()).isBetween(1024, CONTEXT / 2);
    assertThat(planned.weights()).isNotEqualTo(Plan.Weights.RESIDENT);
    Plan asked = plan(all.withCache(KvChoice.of(KvFormat.F16).withResident(640)));
    assertThat(asked.cache().resident()).isEqualTo(640);
    // The second goes back by a part of what is on disk.
    Request[] requests = {request(2900, 20), request(1500, 10)};
    int[][] expected = answers(inMemory, requests);
    assertThat(folder.resolve("made")).doesNotExist();
    for (Plan plan : List.of(planned, asked)) {
      assertThat(plan.cache().layout(longer(Families.spec(file))).diskBytes(2900))
          .isGreaterThan(1000 * 7 * 2 * 64L);
      assertThat(share(plan, "kv")).isLessThan(share(inMemory, "kv") * 9 / 10);
      assertThat(answers(plan, requests)).isDeepEqualTo(expected);
    }
    try (Stream<Path> left = Files.list(folder.resolve("made/when/needed"))) {
      assertThat(left).isEmpty();
    }
  }
}
