package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.TensorSource.Extent;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The nodes and weights of an ONNX file. Weights stay where they are: a stretch of this file or of
 * one beside it; numbers that a node or a scale has come to the heap, if they are few.
 *
 * <p>Source: {@code onnx.proto} of ONNX 1.17 (ModelProto, GraphProto, NodeProto, TensorProto).
 */
final class OnnxGraph {
  private static final int MOST_NAME = 1 << 12;
  private static final int MOST_THINGS = 1 << 17;
  private static final int MOST_DIMENSIONS = 8;

  /** The most bytes of numbers that come to the heap. */
  private static final int MOST_HELD = 1 << 20;

  /** TensorProto's types of numbers that are read. */
  enum Type {
    FLOAT(1, 4),
    UINT8(2, 1),
    INT8(3, 1),
    INT64(7, 8),
    FLOAT16(10, 2),
    BFLOAT16(16, 2);

    final int code;
    final int bytes;

    Type(int code, int bytes) {
      this.code = code;
      this.bytes = bytes;
    }

    static @Nullable Type of(long code) {
      for (Type type : values()) {
        if (type.code == code) {
          return type;
        }
      }
      return null;
    }
  }

  /**
   * A tensor.
   *
   * @param shape as ONNX has it: the last dimension runs fastest
   * @param extent its bytes, little-endian; null where they are in {@code held}
   * @param held its bytes on the heap, of those of which there are few; null where there are not
   */
  record Tensor(
      String name,
      @Nullable Type type,
      List<Long> shape,
      @Nullable Extent extent,
      byte @Nullable [] held) {
    long values() {
      return shape.stream().reduce(1L, (a, b) -> a * b);
    }
  }

  /**
   * An operation.
   *
   * @param value what a Constant has
   */
  record Node(
      String op, String name, List<String> inputs, List<String> outputs, @Nullable Tensor value) {
    /** The name of the module that it belongs to: its own up to the last slash. */
    String module() {
      return name.substring(0, Math.max(0, name.lastIndexOf('/')));
    }
  }

  final Path path;
  private final OpenFile file;
  private final List<OpenFile> files;
  private final Map<String, OpenFile> beside = new HashMap<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final List<Node> nodes = new ArrayList<>();
  private final List<String> outputs = new ArrayList<>();

  private OnnxGraph(OpenFile file, List<OpenFile> files) {
    this.path = file.path();
    this.file = file;
    this.files = files;
  }

  /**
   * Reads a file.
   *
   * @param files takes the files with weights beside it that are opened
   */
  static OnnxGraph read(OpenFile file, List<OpenFile> files) {
    return file.header(source -> {
      OnnxGraph graph = new OnnxGraph(file, files);
      graph.model(new ProtoInput(file.path(), source));
      return graph;
    });
  }

  List<Node> nodes() {
    return nodes;
  }

  /** The names of what it computes. */
  List<String> outputs() {
    return outputs;
  }

  /** A weight by its name, or null. */
  @Nullable Tensor tensor(String name) {
    return tensors.get(name);
  }

  /** The numbers of a tensor, of which there are few. */
  float[] reals(Tensor tensor) {
    byte[] bytes = held(tensor);
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    float[] reals = new float[(int) tensor.values()];
    for (int i = 0; i < reals.length; i++) {
      reals[i] =
          switch (tensor.type) {
            case FLOAT -> numbers.getFloat();
            case UINT8 -> numbers.get() & 0xFF;
            case INT8 -> numbers.get();
            case INT64 -> numbers.getLong();
            case null, default -> throw error(tensor, "is of a type that is not expected here");
          };
    }
    return reals;
  }

  private byte[] held(Tensor tensor) {
    if (tensor.held == null) {
      throw error(tensor, "has its numbers elsewhere, or more of them than are expected here");
    }
    return tensor.held;
  }

  ModelFileException error(Tensor tensor, String problem) {
    return new ModelFileException(path, tensor.name, problem);
  }

  private void model(ProtoInput in) {
    boolean found = false;
    while (in.next(in.size())) {
      if (in.field() == 7) {
        found = true;
        graph(in, in.enter());
      } else if (in.field() == 25) {
        throw new ModelFileException(path, "functions", "functions of a file's own are not known");
      } else {
        in.skip();
      }
    }
    if (!found) {
      throw new ModelFileException(path, "graph", "is missing; this is no whole ONNX model");
    }
  }

  private void graph(ProtoInput in, long end) {
    while (in.next(end)) {
      switch (in.field()) {
        case 1 -> nodes.add(node(in, in.enter()));
        case 5 -> {
          Tensor tensor = tensor(in, in.enter());
          if (tensors.put(tensor.name, tensor) != null) {
            throw error(tensor, "stands twice");
          }
        }
        case 12 -> outputs.add(valueName(in, in.enter()));
        case 15 ->
            throw new ModelFileException(
                path, "sparse_initializer", "sparse weights are not supported");
        default -> in.skip();
      }
      if (nodes.size() + tensors.size() > MOST_THINGS) {
        throw in.error("there are more than %,d nodes and weights".formatted(MOST_THINGS));
      }
    }
  }

  private static String valueName(ProtoInput in, long end) {
    String name = "";
    while (in.next(end)) {
      if (in.field() == 1) {
        name = in.string(MOST_NAME);
      } else {
        in.skip();
      }
    }
    return name;
  }

  private Node node(ProtoInput in, long end) {
    List<String> inputs = new ArrayList<>();
    List<String> results = new ArrayList<>();
    String name = "";
    String op = "";
    Tensor value = null;
    while (in.next(end)) {
      switch (in.field()) {
        case 1 -> inputs.add(in.string(MOST_NAME));
        case 2 -> results.add(in.string(MOST_NAME));
        case 3 -> name = in.string(MOST_NAME);
        case 4 -> op = in.string(MOST_NAME);
        case 5 -> {
          Tensor found = attribute(in, in.enter());
          value = found == null ? value : found;
        }
        default -> in.skip();
      }
    }
    return new Node(op, name, List.copyOf(inputs), List.copyOf(results), value);
  }

  /** The tensor of an attribute, if it has one. */
  private @Nullable Tensor attribute(ProtoInput in, long end) {
    Tensor value = null;
    while (in.next(end)) {
      if (in.field() == 5) {
        value = tensor(in, in.enter());
      } else {
        in.skip();
      }
    }
    return value;
  }

  private Tensor tensor(ProtoInput in, long end) {
    String name = "";
    Type type = null;
    List<Long> shape = new ArrayList<>();
    long from = -1;
    long bytes = 0;
    List<Long> integers = new ArrayList<>();
    List<Float> reals = new ArrayList<>();
    Map<String, String> external = new HashMap<>();
    while (in.next(end)) {
      switch (in.field()) {
        case 1 -> numbers(in, shape, MOST_DIMENSIONS);
        case 2 -> type = Type.of(in.varint());
        case 4 -> reals(in, reals);
        case 5, 7 -> numbers(in, integers, MOST_HELD / Long.BYTES);
        case 8 -> name = in.string(MOST_NAME);
        case 9 -> {
          long stop = in.enter();
          from = in.position();
          bytes = stop - from;
          in.seek(stop);
        }
        case 13 -> entry(in, in.enter(), external);
        default -> in.skip();
      }
    }
    if (shape.stream().anyMatch(length -> length < 0 || length > Integer.MAX_VALUE)) {
      throw in.error("%s: shape %s is not supported".formatted(name, shape));
    }
    Extent extent = null;
    byte[] held = null;
    if (!external.isEmpty()) {
      extent = external(name, external);
    } else if (from >= 0) {
      extent = new Extent(file, from, bytes);
      if (bytes <= MOST_HELD) {
        held = read(in, from, (int) bytes);
      }
    } else if (type != null) {
      held = listed(type, reals, integers);
    }
    return checked(new Tensor(name, type, List.copyOf(shape), extent, held));
  }

  private static byte[] read(ProtoInput in, long from, int length) {
    long back = in.position();
    in.seek(from);
    byte[] bytes = in.raw(length);
    in.seek(back);
    return bytes;
  }

  private Tensor checked(Tensor tensor) {
    if (tensor.type == null) {
      return tensor;
    }
    double expected = tensor.type.bytes;
    for (long length : tensor.shape) {
      expected *= length;
    }
    long found =
        tensor.extent != null
            ? tensor.extent.bytes()
            : tensor.held == null ? 0 : tensor.held.length;
    if (expected != found) {
      throw error(
          tensor,
          "shape %s of %s needs %,.0f bytes, and the file has %,d"
              .formatted(tensor.shape, tensor.type, expected, found));
    }
    return tensor;
  }

  /** Numbers that stand in lists, as bytes. */
  private static byte @Nullable [] listed(Type type, List<Float> reals, List<Long> integers) {
    int count = reals.isEmpty() ? integers.size() : reals.size();
    ByteBuffer bytes = ByteBuffer.allocate(count * type.bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      switch (type) {
        case FLOAT -> bytes.putFloat(reals.isEmpty() ? integers.get(i) : reals.get(i));
        case UINT8, INT8 -> bytes.put(integers.get(i).byteValue());
        case INT64 -> bytes.putLong(integers.get(i));
        case FLOAT16, BFLOAT16 -> bytes.putShort(integers.get(i).shortValue());
      }
    }
    return bytes.array();
  }

  private static void numbers(ProtoInput in, List<Long> into, int most) {
    if (!in.isLong()) {
      into.add(in.varint());
    } else {
      for (long end = in.enter(); in.position() < end && into.size() <= most; ) {
        into.add(in.rawVarint());
      }
    }
    if (into.size() > most) {
      throw in.error("a list has more than %,d numbers".formatted(most));
    }
  }

  private static void reals(ProtoInput in, List<Float> into) {
    if (!in.isLong()) {
      into.add(in.real());
      return;
    }
    byte[] bytes = in.bytes(MOST_HELD);
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (numbers.remaining() >= Float.BYTES) {
      into.add(numbers.getFloat());
    }
  }

  private static void entry(ProtoInput in, long end, Map<String, String> into) {
    String key = "";
    String value = "";
    while (in.next(end)) {
      switch (in.field()) {
        case 1 -> key = in.string(MOST_NAME);
        case 2 -> value = in.string(MOST_NAME);
        default -> in.skip();
      }
    }
    into.put(key, value);
  }

  /** A stretch of a file beside this one. */
  private Extent external(String tensor, Map<String, String> entries) {
    String location = entries.getOrDefault("location", "");
    if (!location.matches("[\\w.-]{1,200}") || location.matches("\\.+")) {
      throw new ModelFileException(
          path, tensor, "lies in '" + location + "', which is no file beside this one");
    }
    OpenFile other =
        beside.computeIfAbsent(
            location,
            name -> {
              OpenFile opened = OpenFile.open(path.resolveSibling(name));
              files.add(opened);
              return opened;
            });
    try {
      long from = Long.parseLong(entries.getOrDefault("offset", "0"));
      long rest = other.size() - from;
      long bytes = Long.parseLong(entries.getOrDefault("length", String.valueOf(rest)));
      if (from >= 0 && bytes >= 0 && bytes <= rest) {
        return new Extent(other, from, bytes);
      }
    } catch (NumberFormatException e) {
      throw new ModelFileException(path, tensor, "external_data is no stretch of a file", e);
    }
    throw new ModelFileException(
        path, tensor, "lies outside of the %,d bytes of %s".formatted(other.size(), location));
  }
}
