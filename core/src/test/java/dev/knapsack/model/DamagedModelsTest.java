package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.HandMadeMetadata;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Damages the keys and tensors of models of all families: each has a spec all the same, or is
 * refused with {@link ModelFileException}, and takes little memory either way. {@code
 * -Dknapsack.damages=5000} does more of it.
 */
class DamagedModelsTest {
  private static final int DAMAGES = Integer.getInteger("knapsack.damages", 60);
  private static final long MOST_BYTES = 16 << 20;
  private static final Object[] HOSTILE = {
    0L,
    1L,
    -1L,
    2L,
    3L,
    7L,
    1L << 16,
    1L << 24,
    (1L << 28) + 1,
    1L << 31,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    0.0,
    -1.0,
    1.5,
    1e-300,
    1e300,
    Double.NaN,
    Double.POSITIVE_INFINITY,
    "text",
    "yarn",
    "longrope",
    true,
    false,
    new long[0],
    new long[] {2, 0, -5},
    new float[] {1},
    new float[] {Float.NaN, 0}
  };
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** A model's keys and tensors, of which some are no longer what they were. */
  private static final class Damaged implements ModelFile {
    final ModelFile whole;
    final Map<String, Object> keys = new LinkedHashMap<>();
    final Map<String, TensorInfo> tensors;

    Damaged(ModelFile whole) {
      this.whole = whole;
      tensors = new LinkedHashMap<>(whole.tensors());
      whole
          .metadata()
          .all()
          .forEach((key, value) -> {
            // A vocabulary is no matter of the layers.
            if (!(key.startsWith("tokenizer.") && value instanceof List<?>)) {
              keys.put(key, value);
            }
          });
    }

    @Override
    public Path path() {
      return FixtureModel.PATH;
    }

    @Override
    public Metadata metadata() {
      return HandMadeMetadata.of(path(), keys);
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      return tensors;
    }

    @Override
    public void read(TensorInfo tensor, long from, MemorySegment into) {
      TensorInfo stored = Objects.requireNonNull(whole.tensors().get(tensor.name()));
      if (from + into.byteSize() <= stored.bytes()) {
        whole.read(stored, from, into);
      }
    }

    @Override
    public long alignment(TensorInfo tensor, long from) {
      return 0;
    }

    @Override
    public void close() {}
  }

  private static String architecture(ModelFile file) {
    return file.metadata().string("general.architecture");
  }

  private static Map<String, ModelFile> goldens() throws IOException {
    Map<String, ModelFile> files = new TreeMap<>();
    try (Stream<Path> folders = Files.list(TestData.path("golden"))) {
      folders
          .filter(Files::isDirectory)
          .forEach(folder -> {
            ModelFile file = ModelFile.open(folder.resolve("model.gguf"));
            if (Families.supports(file)) {
              files.put(folder.getFileName().toString(), file);
            } else {
              file.close();
            }
          });
    }
    return files;
  }

  @ParameterizedTest
  @ValueSource(longs = {1})
  void haveASpecOrAreRefused(long seed) throws IOException {
    Random random = new Random(seed);
    Map<String, ModelFile> files = goldens();
    Set<String> suffixes = new TreeSet<>();
    for (ModelFile file : files.values()) {
      String prefix = architecture(file) + ".";
      file.metadata().all().keySet().stream()
          .filter(key -> key.startsWith(prefix))
          .forEach(key -> suffixes.add(key.substring(prefix.length())));
    }
    int refused = 0;
    for (Map.Entry<String, ModelFile> golden : files.entrySet()) {
      for (int i = 0; i < DAMAGES; i++) {
        Damaged model = new Damaged(golden.getValue());
        List<String> damages = new ArrayList<>(List.of(golden.getKey()));
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
          damages.add(damage(model, List.copyOf(suffixes), random));
        }
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
          ModelSpec spec = Families.spec(model);
          assertThat(spec.kvLayout(Formats.F16, Formats.F16).bytes(1)).isNotNegative();
        } catch (ModelFileException e) {
          assertThat(e).as("%s", damages).hasMessageStartingWith("fixture.gguf: ");
          refused++;
        } catch (RuntimeException | Error e) {
          throw new AssertionError(damages.toString(), e);
        }
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - before)
            .as("bytes of %s", damages)
            .isLessThan(MOST_BYTES);
      }
      golden.getValue().close();
    }
    assertThat(files).hasSizeGreaterThan(50);
    assertThat(refused).isBetween(files.size() * DAMAGES / 2, files.size() * DAMAGES * 19 / 20);
  }

  /** Damages a key or a tensor, and says so. */
  private static String damage(Damaged model, List<String> suffixes, Random random) {
    String prefix = architecture(model) + ".";
    List<String> own = model.keys.keySet().stream().filter(key -> key.startsWith(prefix)).toList();
    return switch (random.nextInt(10)) {
      case 0, 1 -> tensor(model, random);
      case 2 -> {
        String key = own.get(random.nextInt(own.size()));
        model.keys.remove(key);
        yield key + " removed";
      }
      case 3 -> key(model, prefix + suffixes.get(random.nextInt(suffixes.size())), random);
      case 4 ->
          key(
              model,
              random.nextBoolean() ? "tokenizer.ggml.mask_token_id" : "diffusion.shift_logits",
              random);
      default -> key(model, own.get(random.nextInt(own.size())), random);
    };
  }

  private static String key(Damaged model, String key, Random random) {
    Object value = HOSTILE[random.nextInt(HOSTILE.length)];
    if (model.keys.get(key) instanceof List<?> list && random.nextBoolean()) {
      List<Object> values = new ArrayList<>(list);
      if (values.isEmpty() || random.nextInt(3) == 0) {
        values.addAll(list);
        values = values.subList(0, random.nextInt(values.size() + 1));
      } else if (values.getFirst().getClass() == value.getClass()) {
        values.set(random.nextInt(values.size()), value);
      }
      value = values;
    }
    model.keys.put(key, value);
    return key + " = " + value;
  }

  private static String tensor(Damaged model, Random random) {
    List<TensorInfo> all = List.copyOf(model.tensors.values());
    TensorInfo tensor = all.get(random.nextInt(all.size()));
    List<Long> shape = new ArrayList<>(tensor.shape());
    switch (shape.isEmpty() ? 2 : random.nextInt(5)) {
      case 0 -> {
        model.tensors.remove(tensor.name());
        return tensor.name() + " removed";
      }
      case 1 -> shape.removeFirst();
      case 2 -> shape.add(1L + random.nextInt(2));
      case 3 -> shape = shape.reversed();
      default -> shape.set(random.nextInt(shape.size()), 1L << random.nextInt(30));
    }
    model.tensors.put(tensor.name(), new TensorInfo(tensor.name(), tensor.format(), shape));
    return tensor.name() + " is " + shape;
  }
}
