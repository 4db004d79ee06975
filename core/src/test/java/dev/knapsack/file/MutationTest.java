package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizers;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Damages small models in many ways: each opens, or is refused with {@link ModelFileException}, and
 * takes little memory either way.
 */
class MutationTest {
  private static final long[] HOSTILE = {
    -1,
    0,
    1,
    5,
    255,
    1 << 16,
    0x7FFF_FFFF,
    1L << 32,
    (1L << 32) - 1,
    1L << 60,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -1L >>> 4
  };
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir static Path folder;

  @ParameterizedTest
  @CsvSource({"1, 8000", "2, 8000", "3, 8000"})
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aDamagedHeaderIsReadOrRefused(long seed, int times) throws IOException {
    Random random = new Random(seed);
    byte[] model = model(random);
    GgufBytes.read(model);
    int opened = 0;
    for (int i = 0; i < times; i++) {
      byte[] damaged = damage(model, random);
      long before = THREADS.getCurrentThreadAllocatedBytes();
      try {
        GgufHeader header = GgufBytes.read(damaged);
        opened++;
        use(header, damaged.length);
      } catch (ModelFileException refused) {
        assertThat(refused).hasMessageStartingWith("hostile.gguf: ");
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed + ", round " + i, e);
      }
      assertThat(THREADS.getCurrentThreadAllocatedBytes() - before)
          .as("bytes allocated for %d bytes, seed %d, round %d", damaged.length, seed, i)
          .isLessThan(2_000_000);
    }
    assertThat(opened).isBetween(times / 100, times * 99 / 100);
  }

  @ParameterizedTest
  @CsvSource({"4, 500"})
  void aDamagedFileIsReadOrRefused(long seed, int times) throws IOException {
    Random random = new Random(seed);
    byte[] model = model(random);
    Path path = folder.resolve("damaged.gguf");
    int read = 0;
    for (int i = 0; i < times; i++) {
      Files.write(path, damage(model, random));
      try (ModelFile file = ModelFile.open(path);
          Arena arena = Arena.ofConfined()) {
        for (TensorInfo tensor : file.tensors().values()) {
          MemorySegment bytes = arena.allocate(tensor.bytes());
          file.read(tensor, 0, bytes);
        }
        read++;
      } catch (ModelFileException refused) {
        assertThat(refused).hasMessageContaining("damaged.gguf: ");
      }
    }
    assertThat(read).isPositive();
  }

  /** Reads everything that a header offers. */
  private static void use(GgufHeader header, long size) {
    header
        .tensors()
        .values()
        .forEach(tensor -> {
          long offset = header.offsets().get(tensor.name());
          assertThat(offset).isNotNegative();
          assertThat(tensor.bytes()).isBetween(1L, size - offset);
        });
    header
        .metadata()
        .all()
        .values()
        .forEach(value -> {
          if (value instanceof List<?> list) {
            assertThat(list).doesNotContainNull();
          }
        });
    Tokenizers.of(header.metadata(), GgufBytes.NAME).encode("aab b", true, true);
  }

  private static byte[] model(Random random) throws IOException {
    List<TensorInfo> tensors = new ArrayList<>();
    for (Format format : Formats.all()) {
      tensors.add(
          new TensorInfo(
              "blk." + tensors.size() + ".weight",
              format,
              List.of((long) format.blockValues(), 1L + random.nextInt(3))));
    }
    MetadataBuilder metadata =
        new MetadataBuilder()
            .string("general.architecture", "llama")
            .integer("general.alignment", 32)
            .real("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .flag("tokenizer.ggml.add_bos_token", true)
            .put("general.count", ValueType.UINT64, 5)
            .string("tokenizer.ggml.model", random.nextBoolean() ? "gpt2" : "llama")
            .string("tokenizer.ggml.pre", "gpt-2")
            .strings("tokenizer.ggml.tokens", List.of("<s>", "a", "b", "ab", "aab", "\u0120", " "))
            .strings("tokenizer.ggml.merges", List.of("a b", "a ab"))
            .reals("tokenizer.ggml.scores", 0, -1, -2, -3, -4, -5, -6)
            .integers("tokenizer.ggml.token_type", 3, 1, 1, 1, 1, 1, 1)
            .integer("tokenizer.ggml.bos_token_id", 0)
            .integer("tokenizer.ggml.eos_token_id", 0);
    Path path = folder.resolve("model.gguf");
    try (GgufWriter writer = GgufWriter.create(path, metadata.build(path), tensors)) {
      for (TensorInfo tensor : tensors) {
        writer.write(tensor, MemorySegment.ofArray(new byte[(int) tensor.bytes()]));
      }
      writer.finish();
    }
    return Files.readAllBytes(path);
  }

  private static byte[] damage(byte[] model, Random random) {
    byte[] bytes = model.clone();
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      // Half of the damage falls on the first part, where the counts and keys are.
      int at = random.nextInt(random.nextBoolean() ? 200 : bytes.length - 8);
      ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt();
        case 2 -> view.putLong(at, HOSTILE[random.nextInt(HOSTILE.length)]);
        case 3 -> view.putInt(at, (int) HOSTILE[random.nextInt(HOSTILE.length)]);
        case 4 -> {
          int other = random.nextInt(bytes.length - 8);
          long swapped = view.getLong(at);
          view.putLong(at, view.getLong(other));
          view.putLong(other, swapped);
        }
        default -> {
          if (random.nextInt(4) == 0) {
            bytes = Arrays.copyOf(bytes, Math.max(300, random.nextInt(bytes.length)));
          } else {
            System.arraycopy(bytes, at, bytes, Math.max(0, at - 8), bytes.length - at);
          }
        }
      }
    }
    return bytes;
  }
}
