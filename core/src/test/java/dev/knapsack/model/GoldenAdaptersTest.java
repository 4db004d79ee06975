package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Compares logits with adapters with those that another engine computed. */
@Execution(ExecutionMode.CONCURRENT)
class GoldenAdaptersTest {
  private static final double FLOAT = 1e-9;
  private static final double HALF_CACHE = 2e-5;

  private static Path base() {
    return TestData.path("golden/llama");
  }

  private static Path folder(String name) {
    return TestData.path("adapters/" + name);
  }

  @ParameterizedTest
  @CsvSource({"lora_rslora, 1", "lora_rslora, 0.5", "lora_patterns, 1", "lora_patterns, 0.5"})
  void adaptersOfAttentionAndMlp(String name, String scale) throws IOException {
    try (ModelFile model = ModelFile.open(base().resolve("model.gguf"));
        ModelFile adapter = ModelFile.open(folder(name).resolve("adapter.gguf"))) {
      check(name, scale, model, adapter);
    }
  }

  /** What it changes outside the layers is put into the model before. */
  @ParameterizedTest
  @CsvSource({"1", "0.5"})
  void anAdapterOfAllLayers(String scale) throws IOException {
    try (ModelFile model = ModelFile.open(base().resolve("model.gguf"));
        ModelFile adapter = ModelFile.open(folder("lora_llama").resolve("adapter.gguf"))) {
      check(
          "lora_llama",
          scale,
          new Merged(model, adapter, Float.parseFloat(scale)),
          new Merged(adapter, null, 0));
    }
  }

  private static void check(String name, String scale, ModelFile model, ModelFile adapterFile)
      throws IOException {
    int[] tokens = GoldenModelsTest.tokens(base().resolve("tokens.json"));
    float[] expected =
        GoldenModelsTest.numbers(folder(name).resolve("logits_%s.f32".formatted(scale)));
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider);
      for (Rig.Parts each : List.of(parts, parts.with(Formats.F16))) {
        try (Rig rig = new Rig(model, each);
            Adapter adapter =
                new Adapter(
                    adapterFile,
                    rig.spec,
                    Float.parseFloat(scale),
                    rig.budget.account("adapters"))) {
          for (int step : List.of(tokens.length, 1)) {
            assertThat(Rig.error(expected, rig.logits(tokens, step, adapter)))
                .as("%s at %s, %s, %d at a time", name, scale, each, step)
                .isLessThan(each == parts ? FLOAT : HALF_CACHE);
          }
        }
      }
    }
  }

  @Test
  void anAdapterOfEmbeddingsIsRefused() {
    try (ModelFile model = ModelFile.open(base().resolve("model.gguf"));
        ModelFile adapter = ModelFile.open(folder("lora_llama").resolve("adapter.gguf"));
        Rig rig = new Rig(model, Rig.Parts.USUAL)) {
      assertThatThrownBy(() -> new Adapter(adapter, rig.spec, 1, rig.budget.account("adapters")))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("token_embd.weight.lora_a: belongs to no matrix");
    }
  }

  /**
   * The tensors of a file, those outside layers with an adapter's products added, or without pairs
   * for them.
   */
  private record Merged(ModelFile file, @Nullable ModelFile adapter, float scale)
      implements ModelFile {
    @Override
    public Path path() {
      return file.path();
    }

    @Override
    public Metadata metadata() {
      return file.metadata();
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      Map<String, TensorInfo> tensors = new LinkedHashMap<>(file.tensors());
      tensors.keySet().removeIf(name -> !name.startsWith("blk.") && name.contains(".lora_"));
      return tensors;
    }

    @Override
    public void read(TensorInfo tensor, long from, MemorySegment into) {
      file.read(tensor, from, into);
      if (adapter == null || !adapter.tensors().containsKey(tensor.name() + ".lora_a")) {
        return;
      }
      if (tensor.name().startsWith("blk.")) {
        return;
      }
      boolean embedding = tensor.name().equals(ModelSpec.EMBEDDING);
      float[] a = numbers(adapter, tensor.name() + ".lora_a");
      float[] b = numbers(adapter, tensor.name() + ".lora_b");
      int columns = tensor.shape().getFirst().intValue();
      int rows = tensor.shape().getLast().intValue();
      int rank = a.length / (embedding ? rows : columns);
      double factor = scale * adapter.metadata().real("adapter.lora.alpha") / rank;
      for (int i = 0; i < rows * columns; i++) {
        int row = i / columns;
        int column = i % columns;
        double sum = 0;
        for (int r = 0; r < rank; r++) {
          // A token's row of a, and b the other way round.
          sum +=
              embedding
                  ? (double) a[row * rank + r] * b[column * rank + r]
                  : (double) b[row * rank + r] * a[r * columns + column];
        }
        float number = into.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
        into.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, (float) (number + factor * sum));
      }
    }

    private static float[] numbers(ModelFile file, String name) {
      TensorInfo tensor = file.tensors().get(name);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment bytes = arena.allocate(tensor.bytes(), 64);
        file.read(tensor, 0, bytes);
        return bytes.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      }
    }

    @Override
    public long alignment(TensorInfo tensor, long from) {
      return file.alignment(tensor, from);
    }

    @Override
    public void close() {
      file.close();
    }
  }
}
