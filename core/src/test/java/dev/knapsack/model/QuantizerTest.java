package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.UnsupportedFormatException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizerTest {
  @TempDir Path folder;
  private final Budget budget = Budget.of("256MiB");
  private final WorkerTeam team = new WorkerTeam(2);
  private ModelFile source;

  @BeforeEach
  void writeSource() {
    source = open("qwen3-30b-a3b", "source.gguf");
  }

  private ModelFile open(String shape, String name) {
    Path file = folder.resolve(name);
    new SyntheticModel(SyntheticModelTest.small(PublishedShape.named(shape)), Formats.F32)
        .write(file, 1, budget.account("synth"), Progress.NONE);
    return ModelFile.open(file);
  }

  @AfterEach
  void close() {
    source.close();
    team.close();
    assertThat(budget.used()).isZero();
  }

  private Path quantize(ModelFile file, Format format, Format output, String name) {
    Path target = folder.resolve(name);
    new Quantizer(file, format, output)
        .write(target, budget.account("quantize"), team, Progress.NONE);
    return target;
  }

  @ParameterizedTest
  @ValueSource(strings = {"F16", "BF16", "Q8_0", "Q4_0", "Q5_1", "IQ4_NL", "MXFP4"})
  void everyTensorIsNearTheOriginal(String name) {
    Format format = Formats.byName(name);
    try (ModelFile made = ModelFile.open(quantize(source, format, null, "made.gguf"));
        Arena arena = Arena.ofConfined()) {
      assertThat(made.tensors().keySet()).isEqualTo(source.tensors().keySet());
      assertThat(Families.spec(made)).usingRecursiveComparison().isEqualTo(Families.spec(source));
      for (TensorInfo tensor : source.tensors().values()) {
        float[] x = SyntheticModelTest.read(source, tensor.name(), arena);
        float[] y = SyntheticModelTest.read(made, tensor.name(), arena);
        double error = 0;
        double power = 0;
        for (int i = 0; i < x.length; i++) {
          error += Math.pow(x[i] - y[i], 2);
          power += Math.pow(x[i], 2);
        }
        boolean exact = made.tensors().get(tensor.name()).format() == Formats.F32;
        assertThat(error / power).as(tensor.name()).isLessThanOrEqualTo(exact ? 0 : 0.025);
      }
      assertThat(made.tensors().get("blk.0.ffn_up_exps.weight").format()).isEqualTo(format);
      assertThat(made.tensors().get("blk.0.ffn_gate_inp.weight").format()).isEqualTo(Formats.F32);
      assertThat(made.tensors().get("blk.0.attn_norm.weight").format()).isEqualTo(Formats.F32);
      assertThat(made.metadata().integer("general.file_type"))
          .isEqualTo(FormatChoice.fileType(format));
    }
  }

  @Test
  void saysWhichTensorsCouldNotHaveTheFormat() {
    Quantizer quantizer = new Quantizer(source, Formats.Q4_K, null);
    for (Quantizer.Conversion conversion : quantizer.conversions()) {
      TensorInfo to = conversion.to();
      if (to.shape().getFirst() % 256 != 0 && conversion.wanted() != Formats.F32) {
        assertThat(conversion.fellBack()).as(to.name()).isTrue();
        assertThat(to.format()).isEqualTo(Formats.Q8_0);
      } else {
        assertThat(conversion.fellBack()).as(to.name()).isFalse();
      }
    }
    assertThat(quantizer.conversions()).anyMatch(Quantizer.Conversion::fellBack);
    assertThat(FormatChoice.fitting(Formats.Q8_0, 40)).isEqualTo(Formats.F16);
    assertThat(FormatChoice.fitting(Formats.F16, 41)).isEqualTo(Formats.F16);
  }

  @Test
  void theOutputProjectionMayHaveAFormatOfItsOwn() {
    Path made = quantize(source, Formats.Q4_0, Formats.F16, "output.gguf");
    try (ModelFile file = ModelFile.open(made)) {
      assertThat(file.tensors().get("output.weight").format()).isEqualTo(Formats.F16);
      assertThat(file.tensors().get("token_embd.weight").format()).isEqualTo(Formats.Q4_0);
    }
    try (ModelFile tied = open("qwen3-0.6b", "tied.gguf");
        ModelFile file =
            ModelFile.open(quantize(tied, Formats.Q4_0, Formats.Q8_0, "tied-output.gguf"))) {
      assertThat(file.tensors().get("token_embd.weight").format()).isEqualTo(Formats.Q8_0);
    }
  }

  @Test
  void theFileDoesNotDependOnTheNumberOfWorkers() throws IOException {
    byte[] two = Files.readAllBytes(quantize(source, Formats.Q5_1, null, "two.gguf"));
    Path one = folder.resolve("one.gguf");
    try (WorkerTeam alone = new WorkerTeam(1)) {
      new Quantizer(source, Formats.Q5_1, null)
          .write(one, budget.account("quantize"), alone, Progress.NONE);
    }
    assertThat(Files.readAllBytes(one)).isEqualTo(two);
  }

  @Test
  void copiesWhatHasTheFormatAlready() throws IOException {
    Path first = quantize(source, Formats.Q4_0, null, "first.gguf");
    try (ModelFile file = ModelFile.open(first)) {
      Path second = quantize(file, Formats.Q4_0, null, "second.gguf");
      assertThat(Files.readAllBytes(second)).isEqualTo(Files.readAllBytes(first));
    }
  }

  @Test
  void tellsHowFarItHasCome() {
    List<Long> heard = new ArrayList<>();
    Quantizer quantizer = new Quantizer(source, Formats.Q4_0, null);
    quantizer.write(
        folder.resolve("heard.gguf"),
        budget.account("quantize"),
        team,
        (step, done, total) -> {
          assertThat(total).isEqualTo(quantizer.bytes());
          heard.add(done);
        });
    assertThat(heard).isSorted().hasSizeGreaterThan(source.tensors().size());
    assertThat(heard.getLast()).isEqualTo(quantizer.bytes());
  }

  @Test
  void leavesNothingBehindWhenItFails() {
    Quantizer quantizer = new Quantizer(source, Formats.Q4_0, null);
    Path target = folder.resolve("failed.gguf");
    Budget small = Budget.ofBytes(quantizer.memory() / 2);
    assertThatThrownBy(() -> quantizer.write(target, small.account("q"), team, Progress.NONE))
        .isInstanceOf(BudgetExceededException.class);
    assertThatThrownBy(() ->
            quantizer.write(
                target,
                budget.account("quantize"),
                team,
                (step, done, total) -> {
                  if (done > total / 2) {
                    throw new IllegalStateException("stopped");
                  }
                }))
        .hasMessage("stopped");
    assertThat(folder.toFile().list()).containsExactly("source.gguf");
    assertThatThrownBy(() ->
            quantizer.write(
                folder.resolve("none/made.gguf"), budget.account("quantize"), team, Progress.NONE))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("made.gguf");
  }

  @Test
  void refusesToOverwriteTheModelItReads() throws IOException {
    byte[] before = Files.readAllBytes(source.path());
    assertThatThrownBy(() -> quantize(source, Formats.Q4_0, null, "source.gguf"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("another name");
    assertThat(Files.readAllBytes(source.path())).isEqualTo(before);
  }

  @Test
  void refusesFormatsOfTheCacheAlone() {
    assertThatThrownBy(() -> new Quantizer(source, Formats.F8_E4M3, null))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("'F8_E4M3'")
        .hasMessageContaining("Q4_K");
    assertThatThrownBy(() -> new Quantizer(source, Formats.Q4_0, Formats.Q2_1))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("'Q2_1'");
  }
}
