package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.Dense;
import dev.knapsack.model.ExpertBank;
import dev.knapsack.model.Experts;
import dev.knapsack.model.LayerWeights;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Wherever a plan puts weights, a step sees the bytes of the file. */
class PlannedWeightsTest {
  private static final long BUFFER = 80 << 10;
  private static final int[] ALL = IntStream.range(0, TinyModel.LAYERS).toArray();

  @TempDir static Path folder;

  static Stream<Plan.Weights> denses() {
    return Stream.of(
        TinyModel.RESIDENT,
        TinyModel.streaming(false, BUFFER, ALL),
        TinyModel.streaming(false, BUFFER, 3),
        TinyModel.streaming(true, BUFFER, 1, 4),
        TinyModel.streaming(true, BUFFER),
        TinyModel.streaming(true, 60 << 10, 0, 2, 3, 6),
        TinyModel.streaming(true, BUFFER, ALL),
        TinyModel.RESIDENT.withGathered(true),
        TinyModel.streaming(true, BUFFER, ALL).withGathered(true));
  }

  static Stream<Plan.Weights> mixtures() {
    long expert = 3 * 96 * 64 * 18 / 32 + 3 * 4096;
    return Stream.of(
        TinyModel.RESIDENT,
        TinyModel.streaming(false, 256 << 10, 0, 1, 5),
        new Plan.Weights(List.of(), false, 0, 2 * 24 << 10),
        new Plan.Weights(List.of(), false, 0, 10 * expert),
        new Plan.Weights(List.of(2, 3), true, BUFFER, 20 * expert),
        new Plan.Weights(List.of(), false, 0, 1000 * expert));
  }

  @ParameterizedTest
  @MethodSource("denses")
  void aStepSeesTheFile(Plan.Weights plan) {
    for (Format format : List.of(Formats.F16, Formats.Q8_0, Formats.Q4_0)) {
      check(TinyModel.dense(folder, format), plan, false);
    }
  }

  @ParameterizedTest
  @MethodSource("mixtures")
  void aStepSeesTheExpertsOfTheFile(Plan.Weights plan) {
    check(TinyModel.experts(folder, Formats.Q4_0), plan, true);
    check(TinyModel.fusedExperts(folder, Formats.Q4_0), plan, true);
  }

  private static void check(Path path, Plan.Weights plan, boolean experts) {
    Budget budget = Budget.of("64MiB");
    try (ModelFile file = ModelFile.open(path)) {
      long[] progress = new long[2];
      try (PlannedWeights weights =
          new PlannedWeights(
              file,
              Families.spec(file),
              plan,
              budget.account("weights"),
              new WorkerTeam(1),
              (done, total) -> {
                assertThat(done).isGreaterThanOrEqualTo(progress[0]);
                progress[0] = done;
                progress[1] = total;
              })) {
        assertThat(progress[0]).isEqualTo(progress[1]);
        SplittableRandom random = new SplittableRandom(3);
        for (int step = 0; step < 4; step++) {
          boolean output = step != 1; // as in a prompt's chunk that is not its last
          weights.expectOutput(output);
          checkStep(file, weights, output, experts ? random : null);
        }
        if (plan.expertCache() > 0) {
          assertThat(weights.expertHitRate()).isBetween(0.0, 0.999);
        }
      }
      assertThat(budget.used()).isZero();
    }
  }

  private static void checkStep(
      ModelFile file, PlannedWeights weights, boolean output, SplittableRandom random) {
    try (Arena arena = Arena.ofShared()) {
      Matrix state = new Matrix(Formats.F32, 2, TinyModel.WIDTH, arena.allocate(8 * 64, 64));
      TensorInfo table = file.tensors().get("token_embd.weight");
      int[] tokens = {0, 17, TinyModel.VOCABULARY - 1, 17, 1, 2, 3, 4, 5, 6, 0, 7};
      Matrix rows =
          new Matrix(Formats.F32, tokens.length, TinyModel.WIDTH, arena.allocate(4 * 64 * 12, 64));
      weights.gather(ModelSpec.EMBEDDING, tokens, rows);
      weights.gather(ModelSpec.EMBEDDING, tokens, state);
      assertThat(state.data().mismatch(rows.rows(0, 2).data())).isEqualTo(-1);
      long row = table.bytes() / TinyModel.VOCABULARY;
      for (int i = 0; i < tokens.length; i++) {
        MemorySegment expected = arena.allocate(4 * 64, 64);
        table.format().decode(read(file, table), tokens[i] * row, expected, 0, 64);
        assertThat(rows.rows(i, i + 1).data().mismatch(expected)).isEqualTo(-1);
      }
      for (int i = 0; i < TinyModel.LAYERS; i++) {
        LayerWeights layer = weights.layer(i);
        assertThat(layer.index()).isEqualTo(i);
        tensors(layer)
            .forEach((name, data) -> {
              TensorInfo tensor = file.tensors().get(name);
              assertThat(data.mismatch(read(file, tensor))).as(name).isEqualTo(-1);
            });
        if (random != null) {
          checkExperts(file, weights, i, random);
        }
      }
      assertThat(
              weights
                  .find("output_norm.weight")
                  .data()
                  .mismatch(read(file, file.tensors().get("output_norm.weight"))))
          .isEqualTo(-1);
      if (output) {
        MemorySegment all = read(file, file.tensors().get("output.weight"));
        int[] next = {0};
        weights.output((first, block) -> {
          assertThat(first).isEqualTo(next[0]);
          next[0] += block.rows();
          long at = first * block.rowBytes();
          long bytes = block.rows() * block.rowBytes();
          assertThat(block.data().asSlice(0, bytes).mismatch(all.asSlice(at, bytes))).isEqualTo(-1);
        });
        assertThat(next[0]).isEqualTo(TinyModel.VOCABULARY);
      }
    }
  }

  /** What steps multiply with, and norms, by the names that these have in the file. */
  private static Map<String, MemorySegment> tensors(LayerWeights layer) {
    Map<String, MemorySegment> tensors = new HashMap<>();
    String blk = "blk." + layer.index() + ".";
    for (Block.Weights block : layer.blocks()) {
      switch (block) {
        case Attention.Weights w -> {
          tensors.put(blk + "attn_norm.weight", w.norms().before().factors().data());
          tensors.put(blk + "attn_q.weight", w.query().matrix().data());
          tensors.put(blk + "attn_k.weight", w.key().matrix().data());
          tensors.put(blk + "attn_v.weight", w.value().matrix().data());
          tensors.put(blk + "attn_output.weight", w.output().matrix().data());
        }
        case Dense.Weights w -> {
          tensors.put(blk + "ffn_norm.weight", w.norms().before().factors().data());
          tensors.put(blk + "ffn_gate.weight", Objects.requireNonNull(w.gate()).matrix().data());
          tensors.put(blk + "ffn_up.weight", w.up().matrix().data());
          tensors.put(blk + "ffn_down.weight", w.down().matrix().data());
        }
        case Experts.Weights w -> {
          tensors.put(blk + "ffn_norm.weight", w.norms().before().factors().data());
          tensors.put(blk + "ffn_gate_inp.weight", w.router().matrix().data());
        }
        default -> throw new AssertionError(block);
      }
    }
    return tensors;
  }

  private static ExpertBank experts(LayerWeights layer) {
    return ((Experts.Weights) layer.blocks().getLast()).experts();
  }

  private static void checkExperts(
      ModelFile file, PlannedWeights weights, int layer, SplittableRandom random) {
    int[] wanted =
        IntStream.range(0, TinyModel.EXPERTS).filter(e -> random.nextInt(3) == 0).toArray();
    if (weights.layer(layer).blocks().getLast() instanceof Dense.Weights) {
      return;
    }
    List<TensorInfo> tensors =
        Stream.of("gate", "gate_up", "up", "down")
            .map(kind -> file.tensors().get("blk." + layer + ".ffn_" + kind + "_exps.weight"))
            .filter(Objects::nonNull)
            .toList();
    List<Integer> used = new ArrayList<>();
    experts(weights.layer(layer))
        .use(
            wanted,
            (expert, matrices) -> {
              used.add(expert);
              assertThat(matrices).hasSameSizeAs(tensors);
              for (int i = 0; i < tensors.size(); i++) {
                checkExpert(file, tensors.get(i), expert, matrices.get(i));
              }
            });
    assertThat(used)
        .containsExactlyInAnyOrder(IntStream.of(wanted).boxed().toArray(Integer[]::new));
  }

  private static void checkExpert(ModelFile file, TensorInfo tensor, int expert, Matrix matrix) {
    long bytes = tensor.bytes() / TinyModel.EXPERTS;
    assertThat(matrix.rows()).isEqualTo(tensor.shape().get(1).intValue());
    assertThat(matrix.data().mismatch(read(file, tensor).asSlice(expert * bytes, bytes)))
        .as(tensor.name() + " " + expert)
        .isEqualTo(-1);
  }

  private static final Map<String, MemorySegment> READ = new HashMap<>();

  private static MemorySegment read(ModelFile file, TensorInfo tensor) {
    return READ.computeIfAbsent(
        file.path().getFileName() + " " + tensor.name(),
        key -> {
          MemorySegment bytes = Arena.ofAuto().allocate(tensor.bytes(), 64);
          file.read(tensor, 0, bytes);
          return bytes;
        });
  }

  @Test
  void whatDoesNotFitGivesBackWhatItHad() {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F16))) {
      Budget budget = Budget.of("512KiB");
      assertThatThrownBy(() -> open(file, TinyModel.RESIDENT, budget))
          .isInstanceOf(BudgetExceededException.class)
          .hasMessageContaining("weights");
      assertThat(budget.used()).isZero();
      open(file, TinyModel.streaming(true, BUFFER, ALL), budget).close();
      assertThat(budget.used()).isZero();
    }
  }

  @Test
  void refusesAPlanForAnotherFile() {
    Budget budget = Budget.of("64MiB");
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F16))) {
      assertThatThrownBy(() -> open(file, TinyModel.streaming(false, BUFFER, 7), budget))
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("layer 7");
      assertThatThrownBy(() -> open(file, TinyModel.streaming(false, 4096, 0), budget))
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("4,096 bytes");
      assertThatThrownBy(() -> open(file, TinyModel.streaming(true, 4096), budget))
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("output.weight");
      assertThatThrownBy(() -> open(file, new Plan.Weights(List.of(), false, 0, 1 << 20), budget))
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("experts");
    }
    try (ModelFile file = ModelFile.open(TinyModel.experts(folder, Formats.Q4_0))) {
      assertThatThrownBy(() -> open(file, new Plan.Weights(List.of(), false, 0, 9), budget))
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("must hold 2");
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void aReadThatFailsIsReportedAndTriedAgain() {
    Budget budget = Budget.of("64MiB");
    TinyModel.Failing file =
        new TinyModel.Failing(ModelFile.open(TinyModel.dense(folder, Formats.F16)));
    try (file;
        PlannedWeights weights = open(file, TinyModel.streaming(true, BUFFER, ALL), budget)) {
      int failures = 0;
      for (long reads = 0; reads < 60; reads += 3) {
        file.failAfter(reads);
        try {
          checkStepBytes(weights);
        } catch (ModelFileException e) {
          assertThat(e).hasMessageContaining("the disk is gone");
          failures++;
        }
        file.failAfter(Long.MAX_VALUE);
        checkStep(file, weights, true, null);
      }
      assertThat(failures).isGreaterThan(10);
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void expertsThatFailAreForgotten() {
    Budget budget = Budget.of("64MiB");
    TinyModel.Failing file =
        new TinyModel.Failing(ModelFile.open(TinyModel.experts(folder, Formats.Q4_0)));
    try (file;
        PlannedWeights weights =
            open(file, new Plan.Weights(List.of(), false, 0, 6 * 24 << 10), budget)) {
      int failures = 0;
      SplittableRandom random = new SplittableRandom(1);
      for (int reads = 0; reads < 12; reads++) {
        file.failAfter(reads);
        try {
          for (int layer = 0; layer < TinyModel.LAYERS; layer++) {
            experts(weights.layer(layer)).use(new int[] {0, 2, 5, 7}, (expert, matrices) -> {});
          }
        } catch (ModelFileException e) {
          failures++;
        }
        file.failAfter(Long.MAX_VALUE);
        checkStep(file, weights, true, random);
      }
      assertThat(failures).isEqualTo(12);
    }
    assertThat(budget.used()).isZero();
  }

  private interface Change {
    void apply(Path file) throws IOException;
  }

  static Stream<Arguments> changes() {
    return Stream.of(
        arguments("cut", (Change) PlannedWeightsTest::cut),
        arguments("written", (Change) PlannedWeightsTest::write));
  }

  private static void cut(Path path) throws IOException {
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE)) {
      file.truncate(file.size() / 2);
    }
  }

  private static void write(Path path) throws IOException {
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.allocate(64), file.size() / 2);
    }
    Files.setLastModifiedTime(path, FileTime.fromMillis(1_000_000));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("changes")
  void aFileThatChangesWhileStreamingIsReported(String name, Change change) throws IOException {
    Budget budget = Budget.of("64MiB");
    Path path = folder.resolve(name + ".gguf");
    Files.copy(TinyModel.dense(folder, Formats.F16), path);
    try (ModelFile file = ModelFile.open(path);
        PlannedWeights weights = open(file, TinyModel.streaming(true, BUFFER, ALL), budget)) {
      checkStepBytes(weights);
      change.apply(path);
      assertThatThrownBy(
              () -> {
                checkStepBytes(weights);
                checkStepBytes(weights);
              })
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining(path.toString());
    }
    assertThat(budget.used()).isZero();
  }

  /** A step that reads each byte once. */
  private static void checkStepBytes(PlannedWeights weights) {
    for (int i = 0; i < TinyModel.LAYERS; i++) {
      Matrix matrix = ((Dense.Weights) weights.layer(i).blocks().getLast()).down().matrix();
      matrix.data().get(ValueLayout.JAVA_BYTE, matrix.data().byteSize() - 1);
    }
    weights.output((first, block) -> {});
  }

  private static PlannedWeights open(ModelFile file, Plan.Weights plan, Budget budget) {
    return new PlannedWeights(
        file,
        Families.spec(file),
        plan,
        budget.account("weights"),
        new WorkerTeam(1),
        Host.LoadProgress.NONE);
  }
}
