package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.OnnxGraph.Node;
import dev.knapsack.file.OnnxGraph.Tensor;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A BERT in an ONNX graph: its shape and its weights under GGUF's names.
 *
 * <p>A weight is known by the node that uses it, since most have no name; a node by the module that
 * it belongs to. Each node must be one that such a module has, and the modules must follow each
 * other as in BERT (Devlin et al., 2019): anything else would be computed otherwise here, and is
 * refused.
 */
final class OnnxEncoder {
  private static final String EMBEDDINGS = "/embeddings";
  private static final Pattern LAYER = Pattern.compile("(/encoder/layer\\.)(\\d{1,4})(/.*)");

  /** The operation that makes codes of activations, which stay numbers here. */
  private static final String CODES = "DynamicQuantizeLinear";

  private static final Set<String> LINEAR = Set.of("MatMul", "Add", "MatMulInteger", "Cast", "Mul");
  private static final Set<String> NORM =
      Set.of("ReduceMean", "Sub", "Constant", "Pow", "Add", "Sqrt", "Div", "Mul", CODES);
  private static final Set<String> TABLE = Set.of("Gather", "DequantizeLinear");
  private static final Set<String> SUM = Set.of("Add");

  /** The operations of each module; layers are numbered N. */
  private static final Map<String, Set<String>> MODULES =
      Map.ofEntries(
          Map.entry("", Set.of("Unsqueeze", "Cast", "Constant", "Sub", "Mul")),
          Map.entry(EMBEDDINGS, Set.of("Shape", "Constant", "Gather", "Unsqueeze", "Slice", "Add")),
          Map.entry(EMBEDDINGS + "/word_embeddings", TABLE),
          Map.entry(EMBEDDINGS + "/position_embeddings", TABLE),
          Map.entry(EMBEDDINGS + "/token_type_embeddings", TABLE),
          Map.entry(EMBEDDINGS + "/LayerNorm", NORM),
          Map.entry(
              "/encoder/layer.N/attention/self",
              Set.of(
                  "Shape",
                  "Constant",
                  "Gather",
                  "Unsqueeze",
                  "Concat",
                  "Reshape",
                  "Transpose",
                  "MatMul",
                  "Div",
                  "Add",
                  "Softmax",
                  CODES)),
          Map.entry("/encoder/layer.N/attention/self/query", LINEAR),
          Map.entry("/encoder/layer.N/attention/self/key", LINEAR),
          Map.entry("/encoder/layer.N/attention/self/value", LINEAR),
          Map.entry("/encoder/layer.N/attention/output/dense", LINEAR),
          Map.entry("/encoder/layer.N/attention/output", SUM),
          Map.entry("/encoder/layer.N/attention/output/LayerNorm", NORM),
          Map.entry("/encoder/layer.N/intermediate/dense", LINEAR),
          Map.entry(
              "/encoder/layer.N/intermediate/intermediate_act_fn",
              Set.of("Constant", "Div", "Erf", "Add", "Mul", CODES)),
          Map.entry("/encoder/layer.N/output/dense", LINEAR),
          Map.entry("/encoder/layer.N/output", SUM),
          Map.entry("/encoder/layer.N/output/LayerNorm", NORM));

  private static final int MOST_LAYERS = 1 << 12;

  private final OnnxGraph graph;
  private final Map<String, Node> nodes = new HashMap<>();
  private final Map<String, Node> producers = new HashMap<>();
  private final Map<String, HubTensors.Part> parts = new LinkedHashMap<>();
  private int layers;
  private boolean quantized;
  private double epsilon;

  OnnxEncoder(OnnxGraph graph) {
    this.graph = graph;
    for (Node node : graph.nodes()) {
      checkKnown(node);
      nodes.put(node.name(), node);
      node.outputs().forEach(output -> producers.put(output, node));
    }
    read();
  }

  /** Its tensors under GGUF's names, in the order of GGUF files. */
  Map<String, HubTensors.Part> parts() {
    return parts;
  }

  /** Says whether weights are codes, which are read as what they stand for. */
  boolean quantized() {
    return quantized;
  }

  void put(MetadataBuilder metadata) {
    metadata.integer("bert.block_count", layers);
    metadata.integer("bert.context_length", shape("position_embd.weight").get(1));
    metadata.integer("bert.embedding_length", width());
    metadata.integer("bert.feed_forward_length", shape("blk.0.ffn_up.weight").get(1));
    metadata.integer("bert.attention.head_count", heads());
    metadata.real("bert.attention.layer_norm_epsilon", epsilon);
    metadata.flag("bert.attention.causal", false);
    metadata.integer("tokenizer.ggml.token_type_count", shape("token_types.weight").get(1));
  }

  long vocabulary() {
    return shape("token_embd.weight").get(1);
  }

  private List<Long> shape(String tensor) {
    return Objects.requireNonNull(parts.get(tensor)).info().shape();
  }

  private long width() {
    return shape("token_embd.weight").getFirst();
  }

  private void checkKnown(Node node) {
    Matcher layer = LAYER.matcher(node.name());
    String module = node.module();
    if (layer.matches()) {
      layers = Math.max(layers, Integer.parseInt(layer.group(2)) + 1);
      module = layer.group(1) + "N" + layer.group(3);
      module = module.substring(0, module.lastIndexOf('/'));
    }
    if (!MODULES.getOrDefault(module, Set.of()).contains(node.op())) {
      throw wrong(
          node,
          "'%s' is not understood here; of ONNX files, those of BERT as torch exported it are, with"
                  .formatted(node.op())
              + " last_hidden_state as their output. Take the model's safetensors or GGUF file");
    }
  }

  private void read() {
    if (layers == 0 || layers > MOST_LAYERS) {
      throw new ModelFileException(
          graph.path,
          "graph",
          "has %,d layers under /encoder; a BERT as torch exports it has some".formatted(layers));
    }
    table("token_embd.weight", "word_embeddings");
    table("position_embd.weight", "position_embeddings");
    table("token_types.weight", "token_type_embeddings");
    epsilon = Double.NaN;
    norm(EMBEDDINGS + "/LayerNorm", "token_embd_norm");
    String state = output(EMBEDDINGS + "/LayerNorm/Add_1");
    for (int l = 0; l < layers; l++) {
      state = layer("/encoder/layer." + l, "blk." + l + ".", state);
    }
    if (!graph.outputs().equals(List.of(state))) {
      throw new ModelFileException(
          graph.path,
          "output",
          "%s; the numbers of the last layer, %s, are expected alone"
              .formatted(graph.outputs(), state));
    }
  }

  /** Reads a layer that takes what has that name, and says what it gives is called. */
  private String layer(String path, String prefix, String state) {
    String self = path + "/attention/self";
    linear(self + "/query", prefix + "attn_q", state);
    linear(self + "/key", prefix + "attn_k", state);
    linear(self + "/value", prefix + "attn_v", state);
    checkHeads(self);
    String attended = path + "/attention/output";
    linear(attended + "/dense", prefix + "attn_output", output(self + "/Reshape_3"));
    String middle = added(attended, state);
    String intermediate = path + "/intermediate";
    linear(intermediate + "/dense", prefix + "ffn_up", middle);
    String activated = activation(intermediate);
    linear(path + "/output/dense", prefix + "ffn_down", activated);
    String result = added(path + "/output", middle);
    norm(attended + "/LayerNorm", prefix + "attn_output_norm");
    norm(path + "/output/LayerNorm", prefix + "layer_output_norm");
    return result;
  }

  /** Checks that a module adds its matrix' product to the state and normalises the sum. */
  private String added(String module, String state) {
    Node sum = node(module + "/Add");
    expectInputs(sum, Set.of(output(module + "/dense/Add"), state));
    Node mean = node(module + "/LayerNorm/ReduceMean");
    expectInputs(mean, Set.of(sum.outputs().getFirst()));
    return output(module + "/LayerNorm/Add_1");
  }

  /** GELU with erf: x · (erf(x / √2) + 1) · ½. */
  private String activation(String module) {
    String path = module + "/intermediate_act_fn/";
    expectInputs(node(path + "Erf"), Set.of(output(path + "Div")));
    expectNumber(path + "Div", (float) Math.sqrt(2));
    expectNumber(path + "Add", 1);
    expectNumber(path + "Mul_1", 0.5f);
    return output(path + "Mul_1");
  }

  private long heads() {
    Node shape = node("/encoder/layer.0/attention/self/Concat");
    return (long) constant(shape, 2);
  }

  private void checkHeads(String self) {
    long heads = (long) constant(node(self + "/Concat"), 2);
    long size = (long) constant(node(self + "/Concat"), 3);
    if (heads < 1 || heads != heads() || heads * size != width()) {
      throw wrong(
          node(self + "/Concat"),
          "%d heads of %d do not make %d numbers".formatted(heads, size, width()));
    }
    expectNumber(self + "/Div", (float) Math.sqrt((double) size));
  }

  private void expectNumber(String name, float number) {
    Node node = node(name);
    float found = constant(node, 1);
    if (Math.abs(found - number) > 1e-6f * number) {
      throw wrong(node, "has %s where %s is expected".formatted(found, number));
    }
  }

  /** The number that an input of a node is. */
  private float constant(Node node, int input) {
    Node producer = node.inputs().size() > input ? producers.get(node.inputs().get(input)) : null;
    if (producer == null || producer.value() == null || producer.value().values() != 1) {
      throw wrong(node, "input %d is no constant number".formatted(input));
    }
    return graph.reals(producer.value())[0];
  }

  private void expectInputs(Node node, Set<String> names) {
    if (!Set.copyOf(node.inputs()).equals(names)) {
      throw wrong(node, "takes %s where %s is expected".formatted(node.inputs(), names));
    }
  }

  private Node node(String name) {
    Node node = nodes.get(name);
    if (node == null) {
      throw new ModelFileException(
          graph.path, name, "there is no such node, and the BERT that is known here has it");
    }
    return node;
  }

  private String output(String node) {
    return node(node).outputs().stream().findFirst().orElse("");
  }

  /** The number tensor that codes were made of. */
  private String beforeCodes(String value) {
    Node producer = producers.get(value);
    return producer != null && producer.op().equals(CODES) ? producer.inputs().getFirst() : value;
  }

  // Weights

  private void table(String name, String module) {
    Node gather = node(EMBEDDINGS + "/" + module + "/Gather");
    Tensor tensor = weight(gather, 0);
    Node decode = nodes.get(EMBEDDINGS + "/" + module + "/Gather_output_0_DequantizeLinear");
    if (tensor.shape().size() != 2) {
      throw graph.error(tensor, "shape %s; a table is expected".formatted(tensor.shape()));
    }
    List<Long> shape = tensor.shape().reversed();
    if (decode == null) {
      Format format = format(tensor);
      if (!name.startsWith("token_embd")) {
        add(name, Formats.F32, shape, numbers(tensor, format));
      } else {
        add(name, format, shape, new TensorSource.Pieces(List.of(extent(tensor))));
      }
      return;
    }
    expectInputs(
        decode,
        Set.of(gather.outputs().getFirst(), decode.inputs().get(1), decode.inputs().getLast()));
    Tensor zeros = decode.inputs().size() > 2 ? weight(decode, 2) : null;
    TensorSource.Levels levels = levels(tensor, weight(decode, 1), zeros, 1);
    add(name, Formats.F32, shape, new TensorSource.Table(extent(tensor), levels));
  }

  private void linear(String module, String name, String input) {
    boolean codes = !nodes.containsKey(module + "/MatMul");
    Node product = node(module + (codes ? "/MatMul_quant" : "/MatMul"));
    if (!beforeCodes(product.inputs().getFirst()).equals(input)) {
      throw wrong(
          product, "takes %s where %s is expected".formatted(product.inputs().getFirst(), input));
    }
    Tensor tensor = weight(product, 1);
    if (tensor.shape().size() != 2) {
      throw graph.error(tensor, "shape %s; a matrix is expected".formatted(tensor.shape()));
    }
    int rows = tensor.shape().get(0).intValue();
    int columns = tensor.shape().get(1).intValue();
    TensorSource.Levels levels = null;
    if (codes) {
      Tensor zeros = product.inputs().size() > 3 ? weight(product, 3) : null;
      levels = levels(tensor, weight(node(module + "/MatMul_quant_scales_mul"), 1), zeros, columns);
    }
    Format format = codes ? Formats.F32 : format(tensor);
    int size = codes ? 1 : format.blockBytes();
    add(
        name + ".weight",
        format,
        tensor.shape(),
        new TensorSource.Transposed(extent(tensor), columns, rows, size, levels));
    vector(node(module + "/Add"), name + ".bias", columns);
  }

  private void norm(String module, String name) {
    vector(node(module + "/Mul"), name + ".weight", (int) width());
    vector(node(module + "/Add_1"), name + ".bias", (int) width());
    double found = constant(node(module + "/Add"), 1);
    if (found != epsilon && !Double.isNaN(epsilon)) {
      throw wrong(
          node(module + "/Add"), "epsilon is %s, and elsewhere %s".formatted(found, epsilon));
    }
    epsilon = found;
  }

  /** Takes the weight among a node's inputs. */
  private void vector(Node node, String name, int length) {
    Optional<Tensor> found =
        node.inputs().stream().map(graph::tensor).filter(Objects::nonNull).findFirst();
    if (found.isEmpty()) {
      throw wrong(node, "has no weight among %s".formatted(node.inputs()));
    }
    Tensor tensor = found.get();
    if (!tensor.shape().equals(List.of((long) length))) {
      throw graph.error(
          tensor, "shape %s; %,d numbers are expected".formatted(tensor.shape(), length));
    }
    add(name, Formats.F32, tensor.shape(), numbers(tensor, format(tensor)));
  }

  private TensorSource numbers(Tensor tensor, Format format) {
    return new TensorSource.Numbers(extent(tensor), format, 0, 1, TensorSource.Change.NONE);
  }

  private TensorSource.Levels levels(
      Tensor codes, Tensor scales, @Nullable Tensor zeros, int most) {
    if (codes.type() != OnnxGraph.Type.INT8 && codes.type() != OnnxGraph.Type.UINT8) {
      throw graph.error(codes, "codes are expected in 8 bits, signed or not");
    }
    quantized = true;
    float[] factors = graph.reals(scales);
    float[] points = zeros == null ? new float[1] : graph.reals(zeros);
    for (int length : new int[] {factors.length, points.length}) {
      if (length != 1 && length != most) {
        throw graph.error(codes, "%d scales or zero points for %d".formatted(length, most));
      }
    }
    return new TensorSource.Levels(codes.type() == OnnxGraph.Type.INT8, factors, points);
  }

  private Tensor weight(Node node, int input) {
    Tensor tensor = node.inputs().size() > input ? graph.tensor(node.inputs().get(input)) : null;
    if (tensor == null) {
      throw wrong(node, "input %d is no weight of the file".formatted(input));
    }
    return tensor;
  }

  private TensorSource.Extent extent(Tensor tensor) {
    if (tensor.extent() == null) {
      throw graph.error(
          tensor, "its numbers are a list; bytes (raw_data or external_data) are expected");
    }
    return tensor.extent();
  }

  private Format format(Tensor tensor) {
    return switch (tensor.type()) {
      case FLOAT -> Formats.F32;
      case FLOAT16 -> Formats.F16;
      case BFLOAT16 -> Formats.BF16;
      case null, default ->
          throw graph.error(tensor, "numbers are expected in F32, F16 or BF16 here");
    };
  }

  private void add(String name, Format format, List<Long> shape, TensorSource source) {
    parts.put(name, new HubTensors.Part(new TensorInfo(name, format, shape), source));
  }

  private ModelFileException wrong(Node node, String problem) {
    return new ModelFileException(graph.path, "node " + node.name(), problem);
  }
}
