package dev.knapsack.model;

import dev.knapsack.file.HandMadeMetadata;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;

/** A model made in memory by a test: keys and seeded random tensors, in place of a file. */
final class FixtureModel implements ModelFile {
  static final Path PATH = Path.of("fixture.gguf");

  final Map<String, Object> keys = new LinkedHashMap<>();
  final Map<String, TensorInfo> infos = new LinkedHashMap<>();
  final Map<String, float[]> numbers = new LinkedHashMap<>();
  private final Map<String, byte[]> stored = new LinkedHashMap<>();
  private final Random random;

  FixtureModel(String architecture, long seed) {
    random = new Random(seed);
    keys.put("general.architecture", architecture);
  }

  FixtureModel key(String key, Object value) {
    keys.put(keys.get("general.architecture") + "." + key, value);
    return this;
  }

  /** A random tensor with numbers around {@code mean}. */
  FixtureModel tensor(String name, Format format, double mean, double deviation, long... shape) {
    int count = Math.toIntExact(LongShape.product(shape));
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (mean + deviation * random.nextGaussian());
    }
    return tensor(name, format, values, shape);
  }

  FixtureModel tensor(String name, Format format, float[] values, long... shape) {
    byte[] bytes = new byte[Math.toIntExact(format.bytes(values.length))];
    format.encode(MemorySegment.ofArray(values), 0, MemorySegment.ofArray(bytes), 0, values.length);
    float[] decoded = new float[values.length];
    format.decode(
        MemorySegment.ofArray(bytes), 0, MemorySegment.ofArray(decoded), 0, values.length);
    stored.put(name, bytes);
    numbers.put(name, decoded);
    infos.put(name, new TensorInfo(name, format, LongShape.list(shape)));
    return this;
  }

  /** The same keys and tensors as a file of F32 tensors has. */
  static FixtureModel copy(ModelFile file) {
    FixtureModel model = new FixtureModel(file.metadata().string("general.architecture"), 1);
    model.keys.putAll(file.metadata().all());
    for (TensorInfo tensor : file.tensors().values()) {
      MemorySegment bytes = Arena.ofAuto().allocate(tensor.bytes(), WeightLayout.SECTOR);
      file.read(tensor, 0, bytes);
      long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
      float[] values = bytes.toArray(ValueLayout.JAVA_FLOAT);
      model.tensor(tensor.name(), Formats.F32, values, shape);
    }
    return model;
  }

  /** Puts the rows of some F32 tensors into one, which takes their place. */
  void fuse(String whole, String... parts) {
    List<Long> first = infos.get(parts[0]).shape();
    float[] all = new float[0];
    for (String part : parts) {
      float[] values = numbers.remove(part);
      int end = all.length;
      all = Arrays.copyOf(all, end + values.length);
      System.arraycopy(values, 0, all, end, values.length);
      infos.remove(part);
    }
    if (first.size() == 1) {
      tensor(whole, Formats.F32, all, all.length);
    } else {
      tensor(whole, Formats.F32, all, first.getFirst(), all.length / first.getFirst());
    }
  }

  FixtureModel weights(String name, long... shape) {
    return tensor(name, Formats.F32, 0, 1 / Math.sqrt(shape[0]), shape);
  }

  FixtureModel norm(String name, long size) {
    return tensor(name, Formats.F32, 1, 0.2, size);
  }

  FixtureModel bias(String name, long... shape) {
    return tensor(name, Formats.F32, 0, 0.3, shape);
  }

  /** A Llama in miniature, with 3 layers, 4 query heads on 2 KV heads. */
  static FixtureModel llama(long seed) {
    return llama("llama", seed);
  }

  /** The same as another architecture that is built like it. */
  static FixtureModel llama(String architecture, long seed) {
    FixtureModel model = new FixtureModel(architecture, seed);
    model
        .key("block_count", 3L)
        .key("context_length", 128L)
        .key("embedding_length", 32L)
        .key("feed_forward_length", 48L)
        .key("attention.head_count", 4L)
        .key("attention.head_count_kv", 2L)
        .key("attention.layer_norm_rms_epsilon", 1e-5)
        .weights("token_embd.weight", 32, 40)
        .norm("output_norm.weight", 32)
        .weights("output.weight", 32, 40);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      model
          .norm(p + "attn_norm.weight", 32)
          .weights(p + "attn_q.weight", 32, 32)
          .weights(p + "attn_k.weight", 32, 16)
          .weights(p + "attn_v.weight", 32, 16)
          .weights(p + "attn_output.weight", 32, 32)
          .norm(p + "ffn_norm.weight", 32)
          .weights(p + "ffn_gate.weight", 32, 48)
          .weights(p + "ffn_up.weight", 32, 48)
          .weights(p + "ffn_down.weight", 48, 32);
    }
    return model;
  }

  @Override
  public Path path() {
    return PATH;
  }

  @Override
  public Metadata metadata() {
    return HandMadeMetadata.of(PATH, keys);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return infos;
  }

  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    MemorySegment.copy(
        MemorySegment.ofArray(stored.get(tensor.name())), from, into, 0, into.byteSize());
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return from % 4096;
  }

  @Override
  public void close() {}

  /** Dimensions as GGUF orders them. */
  private static final class LongShape {
    static long product(long... shape) {
      long product = 1;
      for (long d : shape) {
        product *= d;
      }
      return product;
    }

    static List<Long> list(long... shape) {
      return IntStream.range(0, shape.length).mapToObj(i -> shape[i]).toList();
    }
  }
}
