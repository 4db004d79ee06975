package dev.knapsack.file;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Writes a golden BERT as torch exports it to ONNX, with the nodes that say what weights are for,
 * and as onnxruntime quantises that.
 */
final class OnnxFixture {
  /** A message of Protocol Buffers. */
  private static final class Message {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Message number(int field, long value) {
      varint((long) field << 3);
      varint(value);
      return this;
    }

    Message bytes(int field, byte[] value) {
      varint((long) field << 3 | 2);
      varint(value.length);
      bytes.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.bytes.toByteArray());
    }

    private void varint(long value) {
      long rest = value;
      while ((rest & ~0x7FL) != 0) {
        bytes.write((int) (rest & 0x7F | 0x80));
        rest >>>= 7;
      }
      bytes.write((int) rest);
    }
  }

  private static final int FLOAT = 1;
  private static final int UINT8 = 2;
  private static final int INT8 = 3;
  private static final int INT64 = 7;

  private final ModelFile model;
  private final boolean codes;
  private final boolean external;
  private final Message graph = new Message();
  private final ByteArrayOutputStream beside = new ByteArrayOutputStream();
  private int number = 700;

  private OnnxFixture(ModelFile model, boolean codes, boolean external) {
    this.model = model;
    this.codes = codes;
    this.external = external;
  }

  /**
   * @param codes whether matrices are codes of 7 bits with a scale a column, and tables codes of 8
   *     bits with one scale
   * @param external whether weights lie in a file beside it
   */
  static void write(ModelFile model, Path file, boolean codes, boolean external)
      throws IOException {
    OnnxFixture fixture = new OnnxFixture(model, codes, external);
    fixture.nodes();
    Message all =
        new Message()
            .number(1, 6)
            .text(2, "pytorch")
            .message(7, fixture.graph)
            .message(8, new Message().number(2, 11));
    Files.write(file, all.bytes.toByteArray());
    if (external) {
      Files.write(file.resolveSibling("weights.data"), fixture.beside.toByteArray());
    }
  }

  private void nodes() {
    node("Unsqueeze", "/Unsqueeze", "/Unsqueeze_output_0", "attention_mask");
    table("word_embeddings", "token_embd", "input_ids");
    table("token_type_embeddings", "token_types", "token_type_ids");
    table("position_embeddings", "position_embd", "/embeddings/Slice_output_0");
    String state = norm("/embeddings", "token_embd_norm", "/embeddings/Add_1_output_0", "");
    int layers = (int) model.metadata().integer("bert.block_count");
    for (int l = 0; l < layers; l++) {
      state = layer("/encoder/layer." + l, "blk." + l + ".", state, l == layers - 1);
    }
    graph.message(12, new Message().text(1, "last_hidden_state"));
  }

  private String layer(String path, String prefix, String state, boolean last) {
    String self = path + "/attention/self";
    linear(self + "/query", prefix + "attn_q", state);
    linear(self + "/key", prefix + "attn_k", state);
    linear(self + "/value", prefix + "attn_v", state);
    long heads = model.metadata().integer("bert.attention.head_count");
    long size = model.metadata().integer("bert.embedding_length") / heads;
    constant(self + "/Constant_2", integers(heads), INT64);
    constant(self + "/Constant_3", integers(size), INT64);
    node(
        "Concat",
        self + "/Concat",
        self + "/Concat_output_0",
        "a",
        "b",
        self + "/Constant_2_output_0",
        self + "/Constant_3_output_0");
    real(self + "/Constant_12", (float) Math.sqrt(size));
    node("Div", self + "/Div", self + "/Div_output_0", "scores", self + "/Constant_12_output_0");
    node("Softmax", self + "/Softmax", self + "/Softmax_output_0", self + "/Div_output_0");
    node("Reshape", self + "/Reshape_3", self + "/Reshape_3_output_0", "attended", "shape");
    String attention = path + "/attention/output";
    String attended =
        linear(attention + "/dense", prefix + "attn_output", self + "/Reshape_3_output_0");
    node("Add", attention + "/Add", attention + "/Add_output_0", attended, state);
    String middle = norm(attention, prefix + "attn_output_norm", attention + "/Add_output_0", "");
    String up = linear(path + "/intermediate/dense", prefix + "ffn_up", middle);
    String act = path + "/intermediate/intermediate_act_fn";
    real(act + "/Constant", (float) Math.sqrt(2));
    real(act + "/Constant_1", 1);
    real(act + "/Constant_2", 0.5f);
    node("Div", act + "/Div", act + "/Div_output_0", up, act + "/Constant_output_0");
    node("Erf", act + "/Erf", act + "/Erf_output_0", act + "/Div_output_0");
    node(
        "Add",
        act + "/Add",
        act + "/Add_output_0",
        act + "/Erf_output_0",
        act + "/Constant_1_output_0");
    node("Mul", act + "/Mul", act + "/Mul_output_0", up, act + "/Add_output_0");
    node(
        "Mul",
        act + "/Mul_1",
        act + "/Mul_1_output_0",
        act + "/Mul_output_0",
        act + "/Constant_2_output_0");
    String down = linear(path + "/output/dense", prefix + "ffn_down", act + "/Mul_1_output_0");
    node("Add", path + "/output/Add", path + "/output/Add_output_0", down, middle);
    return norm(
        path + "/output",
        prefix + "layer_output_norm",
        path + "/output/Add_output_0",
        last ? "last_hidden_state" : "");
  }

  private String norm(String module, String name, String input, String result) {
    String path = module + "/LayerNorm";
    node("ReduceMean", path + "/ReduceMean", path + "/ReduceMean_output_0", input);
    real(path + "/Constant_1", 1e-12f);
    node("Add", path + "/Add", path + "/Add_output_0", "variance", path + "/Constant_1_output_0");
    String stem = path.substring(1).replace('/', '.');
    floats(stem + ".weight", name + ".weight");
    floats(stem + ".bias", name + ".bias");
    node("Mul", path + "/Mul", path + "/Mul_output_0", "normalised", stem + ".weight");
    String output = result.isEmpty() ? path + "/Add_1_output_0" : result;
    node("Add", path + "/Add_1", output, path + "/Mul_output_0", stem + ".bias");
    return output;
  }

  private String linear(String module, String name, String input) {
    TensorInfo tensor = model.tensors().get(name + ".weight");
    int columns = tensor.shape().get(0).intValue();
    int rows = tensor.shape().get(1).intValue();
    float[] values = EncoderFixture.floats(model, tensor);
    String matrix = "onnx::MatMul_" + number++;
    String product = module + "/MatMul_output_0";
    List<Long> shape = List.of((long) columns, (long) rows);
    if (codes) {
      float[] scales = new float[rows];
      byte[] turned = new byte[values.length];
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          scales[r] = Math.max(scales[r], Math.abs(values[r * columns + c]) / 64);
        }
        for (int c = 0; c < columns; c++) {
          turned[c * rows + r] = (byte) Math.round(values[r * columns + c] / scales[r]);
        }
      }
      initializer(tensor(matrix + "_quantized", shape, INT8).bytes(9, turned));
      initializer(tensor(matrix + "_scale", List.of((long) rows), FLOAT).bytes(4, bytes(scales)));
      initializer(
          tensor(matrix + "_zero_point", List.of((long) rows), INT8).bytes(5, new byte[rows]));
      node(
          "DynamicQuantizeLinear",
          input.substring(0, input.lastIndexOf('/') + 1) + number,
          input + "_quantized" + number,
          input);
      node(
          "MatMulInteger",
          module + "/MatMul_quant",
          module + "/MatMul_integers",
          input + "_quantized" + number,
          matrix + "_quantized",
          "zero",
          matrix + "_zero_point");
      node(
          "Mul",
          module + "/MatMul_quant_scales_mul",
          module + "/scales",
          "scale",
          matrix + "_scale");
      node("Mul", module + "/MatMul_quant_output_scale_mul", product, module + "/scales", "codes");
    } else {
      float[] turned = new float[values.length];
      for (int i = 0; i < values.length; i++) {
        turned[i % columns * rows + i / columns] = values[i];
      }
      weights(tensor(matrix, shape, FLOAT), bytes(turned));
      node("MatMul", module + "/MatMul", product, input, matrix);
    }
    String bias = module.substring(1).replace('/', '.') + ".bias";
    floats(bias, name + ".bias");
    node("Add", module + "/Add", module + "/Add_output_0", bias, product);
    return module + "/Add_output_0";
  }

  private void table(String module, String name, String input) {
    TensorInfo tensor = model.tensors().get(name + ".weight");
    String path = "/embeddings/" + module + "/Gather";
    String weight = "embeddings." + module + ".weight";
    if (!codes) {
      floats(weight, name + ".weight");
      node("Gather", path, path + "_output_0", weight, input);
      return;
    }
    float[] values = EncoderFixture.floats(model, tensor);
    float most = 0;
    for (float value : values) {
      most = Math.max(most, Math.abs(value));
    }
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) Math.round(values[i] / (most / 127) + 128);
    }
    List<Long> shape = tensor.shape().reversed();
    initializer(tensor(weight + "_quantized", shape, UINT8).bytes(9, bytes));
    initializer(
        tensor(weight + "_scale", List.of(), FLOAT).bytes(4, bytes(new float[] {most / 127})));
    initializer(tensor(weight + "_zero_point", List.of(), UINT8).number(5, 128));
    node("Gather", path, path + "_output_0_quantized", weight + "_quantized", input);
    node(
        "DequantizeLinear",
        path + "_output_0_DequantizeLinear",
        path + "_output_0",
        path + "_output_0_quantized",
        weight + "_scale",
        weight + "_zero_point");
  }

  private void floats(String name, String gguf) {
    TensorInfo tensor = model.tensors().get(gguf);
    weights(
        tensor(name, tensor.shape().reversed(), FLOAT),
        bytes(EncoderFixture.floats(model, tensor)));
  }

  private void weights(Message tensor, byte[] bytes) {
    if (external) {
      tensor.message(13, entry("location", "weights.data"));
      tensor.message(13, entry("offset", String.valueOf(beside.size())));
      tensor.message(13, entry("length", String.valueOf(bytes.length)));
      tensor.number(14, 1);
      beside.writeBytes(bytes);
      initializer(tensor);
    } else {
      initializer(tensor.bytes(9, bytes));
    }
  }

  private static Message entry(String key, String value) {
    return new Message().text(1, key).text(2, value);
  }

  private void initializer(Message tensor) {
    graph.message(5, tensor);
  }

  private static Message tensor(String name, List<Long> shape, int type) {
    Message tensor = new Message();
    shape.forEach(length -> tensor.number(1, length));
    return tensor.number(2, type).text(8, name);
  }

  private void real(String name, float value) {
    constant(name, bytes(new float[] {value}), FLOAT);
  }

  private void constant(String name, byte[] value, int type) {
    Message tensor = tensor("", List.of(), type).bytes(9, value);
    Message attribute = new Message().text(1, "value").message(5, tensor).number(20, 4);
    graph.message(
        1,
        new Message()
            .text(2, name + "_output_0")
            .text(3, name)
            .text(4, "Constant")
            .message(5, attribute));
  }

  private void node(String op, String name, String output, String... inputs) {
    Message node = new Message();
    List.of(inputs).forEach(input -> node.text(1, input));
    graph.message(1, node.text(2, output).text(3, name).text(4, op));
  }

  private static byte[] bytes(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return bytes.array();
  }

  private static byte[] integers(long value) {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
  }
}
