package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.arch.Families;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What lies beside a model comes to the policies that go by it, or nothing is opened. */
class ModelCompanionsTest {
  @TempDir private Path folder;
  private ModelFile file;
  private ModelSpec spec;
  private Path beside;

  /** Goes by the figures. */
  private record Calibrated(Set<Companion<?>> lacks, List<Calibration> given) implements KvPolicy {
    @Override
    public String name() {
      return "calibrated";
    }

    @Override
    public KvPolicy with(Companion.Reader files) {
      return new Calibrated(Set.of(), List.of(files.read(Calibration.FILE)));
    }

    @Override
    public void compress(KvCache cache) {}
  }

  private static final KvPolicy POLICY = new Calibrated(Set.of(Calibration.FILE), List.of());

  @BeforeEach
  void open() throws IOException {
    Path model = folder.resolve("model.gguf");
    Files.copy(TestData.path("models/stories260K.gguf"), model);
    file = ModelFile.open(model);
    spec = Families.spec(file);
    beside = ModelCompanions.path(model, Calibration.FILE);
    assertThat(beside).isEqualTo(folder.resolve("model.gguf.kv.json"));
  }

  @AfterEach
  void close() {
    file.close();
  }

  private Calibration calibration(String model) {
    List<Calibration.Layer> layers = new ArrayList<>();
    for (LayerSpec layer : spec.layers()) {
      List<Calibration.Head> heads = new ArrayList<>();
      for (int h = 0; h < layer.attention().heads(); h++) {
        heads.add(new Calibration.Head(0.5, 1 / (1.0 + h), layers.size() / 100.0));
      }
      layers.add(new Calibration.Layer(0.125, 1.5, OptionalDouble.of(0.75), heads));
    }
    return new Calibration(model, 7, 5, layers);
  }

  private Calibration given() {
    return ((Calibrated) ModelCompanions.given(POLICY, file, spec)).given().getFirst();
  }

  @Test
  void whatWasWrittenIsGiven() throws IOException {
    Calibration written = calibration(ModelIdentity.of(file));
    CalibrationFile.write(beside, written);
    Calibration read = given();
    assertThat(read.model()).isEqualTo(written.model());
    assertThat(read.prompts()).isEqualTo(7);
    assertThat(read.right()).isEqualTo(5);
    assertThat(read.layers()).hasSameSizeAs(written.layers());
    Calibration.Head head = read.layers().get(3).heads().get(2);
    assertThat(head).isEqualTo(new Calibration.Head(0.5, 0.333333, 0.03));
    assertThat(read.layers().getLast().spread()).isEqualTo(0.125);
    assertThat(read.layers().getLast().error()).isEqualTo(1.5);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).as("nothing else is left").hasSize(2);
    }
  }

  @Test
  void aPolicyThatLacksNothingIsLeftAsItIs() {
    assertThat(ModelCompanions.given(KvPolicy.FULL, file, spec)).isSameAs(KvPolicy.FULL);
  }

  @Test
  void figuresThatAreMissingOrOfAnotherModelSayWhatToRun() throws IOException {
    assertThatThrownBy(this::given)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(beside.toString())
        .hasMessageContaining("'knapsack calibrate MODEL'");
    CalibrationFile.write(beside, calibration("0123456789abcdef"));
    assertThatThrownBy(this::given)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("other weights")
        .hasMessageContaining("'knapsack calibrate MODEL'");
    Calibration.Layer layer = new Calibration.Layer(0, 0, List.of());
    CalibrationFile.write(
        beside,
        new Calibration(
            ModelIdentity.of(file), 1, 1, Collections.nCopies(spec.layers().size(), layer)));
    assertThatThrownBy(this::given).hasMessageContaining("other weights");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"near\": 0.5|\"near\": 7|near is 0 to 1",
        "\"near\": 0.5|\"near\": \"x\"|JSON",
        "\"near\": 0.5|\"close\": 0.5|'near'",
        "\"error\": 1.5|\"error\": -1|error is 0 or more",
        "\"version\": 1|\"version\": 2|only 1",
        "\"right\": 5|\"right\": 8|cannot have been",
        "\"layers\": [|\"layers\": 3, \"others\": [|JSON",
        "{|[|JSON",
      })
  void whatIsDamagedIsNamed(String there, String instead, String problem) throws IOException {
    CalibrationFile.write(beside, calibration(ModelIdentity.of(file)));
    Files.writeString(beside, Files.readString(beside).replace(there, instead));
    assertThatThrownBy(this::given)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(beside.toString())
        .hasMessageContaining(problem);
  }
}
