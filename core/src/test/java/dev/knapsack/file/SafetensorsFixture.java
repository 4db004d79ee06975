package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;

/**
 * Writes a GGUF model as the hub would have it: the way back of what {@link SafetensorsDirectory}
 * does, written apart from it.
 */
public final class SafetensorsFixture {
  private static final Pattern LAYER = Pattern.compile("blk\\.(\\d+)\\.(.+?)(?:\\.(weight|bias))?");

  /** Architectures whose rows of queries and keys GGUF permutes to adjacent pairs. */
  private static final Set<String> PERMUTED =
      Set.of("llama", "mistral3", "granite", "smollm3", "granitehybrid", "llada");

  private static final String LLAMA_3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
  private static final String GPT_4O =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
          + SUFFIX
          + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
          + SUFFIX
          + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final Map<String, String> REGEXES =
      Map.of(
          "llama-bpe", LLAMA_3,
          "smaug-bpe", LLAMA_3,
          "qwen2", LLAMA_3.replace("\\p{N}{1,3}", "\\p{N}"),
          "gpt-4o", GPT_4O,
          "tekken", GPT_4O.replace(SUFFIX, "").replace("{1,3}", ""));

  private static final String PREPENDED =
      """
      {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
      """;

  private static final String REPLACED =
      """
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
      """;
  private static final String BYTES =
      """
      {"type": "ByteLevel"}
      """;
  private static final String PIECES =
      """
      {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
      """;

  private record Tensor(String type, List<Long> shape, byte[] bytes) {}

  private final ModelFile gguf;
  private final String architecture;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Map<String, TreeMap<Integer, Tensor>> fused = new LinkedHashMap<>();
  private final HubNames names;

  private SafetensorsFixture(ModelFile gguf) {
    this.gguf = gguf;
    this.architecture = gguf.metadata().string("general.architecture");
    this.names = new HubNames(architecture);
  }

  /** Writes the model into a directory, in one file or several. */
  public static void write(ModelFile gguf, Path directory, int shards) throws IOException {
    SafetensorsFixture fixture = new SafetensorsFixture(gguf);
    Files.createDirectories(directory);
    Files.writeString(directory.resolve("config.json"), fixture.config().toString());
    Files.writeString(directory.resolve("tokenizer.json"), fixture.tokenizer().toString());
    Files.writeString(
        directory.resolve("tokenizer_config.json"), fixture.tokenizerConfig().toString());
    gguf.tensors().values().forEach(fixture::add);
    fixture.fused.forEach(
        (name, parts) -> fixture.tensors.put(name, joined(List.copyOf(parts.values()))));
    fixture.writeWeights(directory, shards);
  }

  // Weights

  private void add(TensorInfo tensor) {
    if (tensor.name().startsWith("rope_")) {
      return; // in the configuration
    }
    byte[] bytes = read(tensor);
    String type = tensor.format() == Formats.BF16 ? "BF16" : tensor.format().name();
    List<Long> shape = tensor.shape().reversed();
    boolean normsLessOne =
        architecture.startsWith("gemma")
            || architecture.startsWith("qwen3n")
            || architecture.startsWith("qwen35");
    if (normsLessOne && tensor.name().endsWith("norm.weight") && !tensor.name().contains("ssm_")) {
      change(bytes, number -> number - 1);
    }
    if (tensor.name().endsWith("ssm_a")) {
      change(bytes, number -> (float) Math.log(-number));
    }
    if (architecture.equals("falcon-h1")) {
      divide(tensor, bytes);
    }
    if (architecture.equals("ernie4_5-moe") && tensor.name().endsWith("_shexp.weight")) {
      long added = tensor.name().contains("down") ? 0 : 8;
      bytes = padded(shape, bytes, added, 8 - added);
      shape = List.of(shape.get(0) + added, shape.get(1) + 8 - added);
    }
    Matcher layer = LAYER.matcher(tensor.name());
    if (!layer.matches()) {
      tensors.put(
          switch (tensor.name()) {
            case "token_embd.weight" ->
                mamba()
                    ? "backbone.embeddings.weight"
                    : llada() ? "model.transformer.wte.weight" : "model.embed_tokens.weight";
            case "output_norm.weight" ->
                mamba()
                    ? "backbone.norm_f.weight"
                    : llada()
                        ? "model.transformer.ln_f.weight"
                        : Set.of("falcon-h1", "jamba").contains(architecture)
                            ? "model.final_layernorm.weight"
                            : "model.norm.weight";
            case "output_norm.bias" -> "model.norm.bias";
            case "token_embd_norm.weight" -> "model.embedding_norm.weight";
            case "output.weight" -> llada() ? "model.transformer.ff_out.weight" : "lm_head.weight";
            default -> throw new IllegalStateException(tensor.name());
          },
          new Tensor(type, shape, bytes));
      return;
    }
    String blocks =
        mamba() ? "backbone.layers" : llada() ? "model.transformer.blocks" : "model.layers";
    String prefix = blocks + "." + layer.group(1) + ".";
    String module = layer.group(2);
    String kind = layer.group(3);
    if (module.contains("conv") && "weight".equals(kind)) {
      shape = List.of(shape.get(0), 1L, shape.get(1));
    } else if (List.of("ssm_d", "ssm_a", "ssm_norm").contains(module)
        && !Set.of("mamba", "jamba").contains(architecture)) {
      shape = List.of(shape.stream().reduce(1L, (a, b) -> a * b));
    }
    if (architecture.startsWith("qwen35")) {
      bytes = together(module, shape, bytes);
    }
    HubNames.Name own = names.find(module + (kind == null ? "" : "." + kind));
    if (own == null && kind != null) {
      own = names.find(module);
      own =
          own == null || own.place() >= 0 || own.name().contains("#")
              ? own
              : new HubNames.Name(own.name() + "." + kind, -1);
    }
    if (architecture.equals("qwen3next") && Set.of("attn_qkv", "attn_gate").contains(module)) {
      whole(prefix + "linear_attn.in_proj_qkvz.weight", module, new Tensor(type, shape, bytes));
      return;
    }
    if (architecture.equals("deepseek2") && Set.of("attn_k_b", "attn_v_b").contains(module)) {
      both(prefix + "self_attn.kv_b_proj.weight", module, new Tensor(type, shape, bytes));
      return;
    }
    if (own != null && own.place() >= 0) {
      fused
          .computeIfAbsent(prefix + own.name(), n -> new TreeMap<>())
          .put(own.place(), new Tensor(type, shape, bytes));
      return;
    }
    if (own != null && !own.name().contains("#")) {
      // The rows of queries and keys are permuted under any name.
      bytes =
          PERMUTED.contains(architecture) && Set.of("attn_q", "attn_k").contains(module)
              ? unpermuted(bytes, module, shape.getFirst())
              : bytes;
      tensors.put(prefix + own.name(), new Tensor(type, shape, bytes));
      return;
    }
    if (architecture.equals("gpt-oss") && module.endsWith("_exps")) {
      gptOssExperts(prefix, tensor, module, kind, bytes);
    } else if (module.endsWith("_exps")) {
      int experts = Math.toIntExact(shape.getFirst());
      int size = bytes.length / experts;
      for (int e = 0; e < experts; e++) {
        String name =
            (own == null ? expertModule(module) : own.name()).replace("#", String.valueOf(e));
        byte[] part = Arrays.copyOfRange(bytes, e * size, (e + 1) * size);
        tensors.put(prefix + name + "." + kind, new Tensor(type, shape.subList(1, 3), part));
      }
    } else {
      if (PERMUTED.contains(architecture) && Set.of("attn_q", "attn_k").contains(module)) {
        bytes = unpermuted(bytes, module, shape.getFirst());
      }
      List<Long> hubShape =
          module.equals("ffn_gate_inp_shexp") ? List.of(1L, shape.getFirst()) : shape;
      String name = module.equals("attn_sinks") ? "self_attn.sinks" : module(module) + "." + kind;
      tensors.put(prefix + name, new Tensor(type, hubShape, bytes));
    }
  }

  /** Falcon H1: what is multiplied by all that it is multiplied by. */
  private void divide(TensorInfo tensor, byte[] bytes) {
    int inner = Math.toIntExact(integer("ssm.inner_size"));
    int state = Math.toIntExact(integer("ssm.group_count") * integer("ssm.state_size"));
    int columns = Math.toIntExact(tensor.shape().getFirst());
    FloatsIn floats = new FloatsIn(bytes);
    for (int i = 0; i < bytes.length / 4; i++) {
      int row = i / columns;
      float factor =
          switch (tensor.name().replaceFirst("blk\\.\\d+\\.", "")) {
            case "token_embd.weight" -> tensorsTied() ? 2 : 4;
            case "attn_q.weight", "attn_v.weight" -> 0.5f;
            case "attn_k.weight" -> 0.125f;
            case "attn_output.weight" -> 8;
            case "ffn_gate.weight" -> 0.25f;
            case "ffn_down.weight" -> 2;
            case "ssm_out.weight" -> 0.5f;
            case "ssm_in.weight" ->
                row < inner
                    ? 1
                    : row < 2 * inner
                        ? 2
                        : row < 2 * inner + state ? 4 : row < 2 * inner + 2 * state ? 8 : 16;
            default -> 1;
          };
      floats.set(i, floats.get(i) / factor);
    }
  }

  private void multipliers(JsonObject config) {
    config.addProperty("embedding_multiplier", tensorsTied() ? 2 : 4);
    config.addProperty("lm_head_multiplier", tensorsTied() ? 2 : 1);
    config.addProperty("attention_in_multiplier", 0.5);
    config.addProperty("key_multiplier", 0.25);
    config.addProperty("attention_out_multiplier", 8);
    config.add("mlp_multipliers", JsonParser.parseString("[0.25, 2]"));
    config.addProperty("ssm_out_multiplier", 0.5);
    config.addProperty("ssm_in_multiplier", 4);
    config.add("ssm_multipliers", JsonParser.parseString("[0.25, 0.5, 1, 2, 4]"));
  }

  private boolean tensorsTied() {
    return !gguf.tensors().containsKey("output.weight");
  }

  /** The same with rows and columns of zeros after it. */
  private static byte[] padded(List<Long> shape, byte[] bytes, long rows, long columns) {
    int width = Math.toIntExact(shape.get(1) * 4);
    int wider = width + Math.toIntExact(columns * 4);
    byte[] result = new byte[Math.toIntExact((shape.get(0) + rows) * wider)];
    for (int r = 0; r < shape.get(0); r++) {
      System.arraycopy(bytes, r * width, result, r * wider, width);
    }
    return result;
  }

  private boolean llada() {
    return architecture.equals("llada");
  }

  private boolean mamba() {
    return architecture.startsWith("mamba") || architecture.startsWith("nemotron_h");
  }

  private static void change(byte[] bytes, UnaryOperator<Float> change) {
    FloatsIn floats = new FloatsIn(bytes);
    for (int i = 0; i < bytes.length / 4; i++) {
      floats.set(i, change.apply(floats.get(i)));
    }
  }

  /** Rows of several, one after the other, in each matrix. */
  private static Tensor joined(List<Tensor> parts) {
    List<Long> shape = new ArrayList<>(parts.getFirst().shape);
    int rows = shape.size() - 2;
    shape.set(rows, shape.get(rows) * parts.size());
    int matrices = rows == 0 ? 1 : Math.toIntExact(shape.getFirst());
    ByteBuffer all = ByteBuffer.allocate(parts.stream().mapToInt(part -> part.bytes.length).sum());
    for (int m = 0; m < matrices; m++) {
      for (Tensor part : parts) {
        int length = part.bytes.length / matrices;
        all.put(part.bytes, m * length, length);
      }
    }
    return new Tensor(parts.getFirst().type, shape, all.array());
  }

  /** Qwen 3.5: GGUF's value head j · groups + g is the hub's g · members + j. */
  private byte[] together(String module, List<Long> shape, byte[] bytes) {
    int heads = Math.toIntExact(integer("ssm.time_step_rank"));
    int groups = Math.toIntExact(integer("ssm.group_count"));
    int keys = Math.toIntExact(2 * groups * integer("ssm.state_size"));
    int values = Math.toIntExact(integer("ssm.inner_size"));
    int stretches = module.equals("ssm_out") ? Math.toIntExact(shape.getFirst()) : 1;
    int length = bytes.length / stretches;
    int kept = 0;
    switch (module) {
      case "attn_qkv", "ssm_conv1d" -> kept = length / (keys + values) * keys;
      case "attn_gate", "ssm_out", "ssm_a", "ssm_dt", "ssm_alpha", "ssm_beta" -> {}
      default -> {
        return bytes;
      }
    }
    byte[] result = bytes.clone();
    int block = (length - kept) / heads;
    for (int s = 0; s < stretches; s++) {
      for (int h = 0; h < heads; h++) {
        int hub = h % groups * (heads / groups) + h / groups;
        int start = s * length + kept;
        System.arraycopy(bytes, start + h * block, result, start + hub * block, block);
      }
    }
    return result;
  }

  /** Qwen 3 Next: for each key head its query, its key, its values and their gates. */
  private void whole(String name, String module, Tensor tensor) {
    TreeMap<Integer, Tensor> rows = fused.computeIfAbsent(name, n -> new TreeMap<>());
    int groups = Math.toIntExact(integer("ssm.group_count"));
    int size = Math.toIntExact(integer("ssm.state_size"));
    int values = Math.toIntExact(integer("ssm.inner_size")) / groups;
    int rowBytes = Math.toIntExact(tensor.bytes.length / tensor.shape.getFirst());
    int all = 2 * size + 2 * values;
    int row = 0;
    List<int[]> runs =
        module.equals("attn_gate")
            ? List.of(new int[] {2 * size + values, values})
            : List.of(new int[] {0, size}, new int[] {size, size}, new int[] {2 * size, values});
    for (int[] run : runs) {
      for (int g = 0; g < groups; g++) {
        for (int i = 0; i < run[1]; i++) {
          byte[] one = Arrays.copyOfRange(tensor.bytes, row * rowBytes, (row + 1) * rowBytes);
          rows.put(
              g * all + run[0] + i, new Tensor(tensor.type, List.of(1L, tensor.shape.get(1)), one));
          row++;
        }
      }
    }
  }

  /** DeepSeek: for each head what makes its keys, with rows for columns, then its values. */
  private void both(String name, String module, Tensor tensor) {
    TreeMap<Integer, Tensor> heads = fused.computeIfAbsent(name, n -> new TreeMap<>());
    int count = Math.toIntExact(tensor.shape.get(0));
    int rows = Math.toIntExact(tensor.shape.get(1));
    int columns = Math.toIntExact(tensor.shape.get(2));
    boolean keys = module.equals("attn_k_b");
    FloatsIn all = new FloatsIn(tensor.bytes);
    for (int h = 0; h < count; h++) {
      int size = rows * columns;
      if (!keys) {
        for (int r = 0; r < rows; r++) {
          int from = 4 * (h * size + r * columns);
          byte[] row = Arrays.copyOfRange(tensor.bytes, from, from + 4 * columns);
          heads.put(h * 4096 + 2048 + r, new Tensor(tensor.type, List.of(1L, (long) columns), row));
        }
        continue;
      }
      for (int c = 0; c < columns; c++) {
        byte[] row = new byte[4 * rows];
        for (int r = 0; r < rows; r++) {
          new FloatsIn(row).set(r, all.get(h * size + r * columns + c));
        }
        heads.put(h * 4096 + c, new Tensor(tensor.type, List.of(1L, (long) rows), row));
      }
    }
  }

  /** GGUF's row 2i + j of a head is the hub's row j · half + i. */
  private byte[] unpermuted(byte[] bytes, String module, long rows) {
    int size = Math.toIntExact(headSize());
    int rowBytes = Math.toIntExact(bytes.length / rows);
    byte[] result = new byte[bytes.length];
    for (int row = 0; row < rows; row++) {
      int inHead = row % size;
      int hub = row - inHead + (inHead % 2) * (size / 2) + inHead / 2;
      System.arraycopy(bytes, row * rowBytes, result, hub * rowBytes, rowBytes);
    }
    return result;
  }

  private void gptOssExperts(
      String prefix, TensorInfo tensor, String module, String kind, byte[] bytes) {
    boolean down = module.contains("down");
    int rows = Math.toIntExact(tensor.shape().get(kind.equals("bias") ? 0 : 1));
    int experts = Math.toIntExact(tensor.shape().getLast());
    int stride = down ? 1 : 2;
    int start = module.contains("up") ? 1 : 0;
    String name = prefix + "mlp.experts." + (down ? "down" : "gate_up") + "_proj_";
    if (kind.equals("bias")) {
      Tensor all = slot(name + "bias", "F32", List.of((long) experts, (long) rows * stride), 4);
      scatter(bytes, 4, all.bytes, start, stride);
      return;
    }
    long blocks = tensor.shape().getFirst() / 32;
    List<Long> shape = List.of((long) experts, (long) rows * stride, blocks);
    byte[] codes = new byte[bytes.length / 17 * 16];
    byte[] scales = new byte[bytes.length / 17];
    for (int b = 0; b < scales.length; b++) {
      scales[b] = bytes[b * 17];
      for (int i = 0; i < 32; i++) {
        int stored = bytes[b * 17 + 1 + i % 16] & 0xFF;
        int code = i < 16 ? stored & 0xF : stored >> 4;
        codes[b * 16 + i / 2] |= (byte) (i % 2 == 0 ? code : code << 4);
      }
    }
    Tensor allCodes =
        slot(name + "blocks", "U8", List.of(shape.get(0), shape.get(1), blocks, 16L), 1);
    scatter(codes, Math.toIntExact(blocks * 16), allCodes.bytes, start, stride);
    scatter(
        scales,
        Math.toIntExact(blocks),
        slot(name + "scales", "U8", shape, 1).bytes,
        start,
        stride);
  }

  private Tensor slot(String name, String type, List<Long> shape, int valueBytes) {
    int size = Math.toIntExact(shape.stream().reduce((long) valueBytes, (a, b) -> a * b));
    return tensors.computeIfAbsent(name, n -> new Tensor(type, shape, new byte[size]));
  }

  private static void scatter(byte[] rows, int rowBytes, byte[] into, int start, int stride) {
    for (int r = 0; r < rows.length / rowBytes; r++) {
      System.arraycopy(rows, r * rowBytes, into, (start + r * stride) * rowBytes, rowBytes);
    }
  }

  private String expertModule(String module) {
    boolean mixtral = architecture.equals("llama");
    return switch (module) {
      case "ffn_gate_exps" -> mixtral ? "block_sparse_moe.experts.#.w1" : "mlp.experts.#.gate_proj";
      case "ffn_down_exps" -> mixtral ? "block_sparse_moe.experts.#.w2" : "mlp.experts.#.down_proj";
      case "ffn_up_exps" -> mixtral ? "block_sparse_moe.experts.#.w3" : "mlp.experts.#.up_proj";
      default -> throw new IllegalStateException(module);
    };
  }

  private String module(String module) {
    boolean gemma = architecture.startsWith("gemma");
    return switch (module) {
      case "attn_norm" -> "input_layernorm";
      case "attn_q", "attn_k", "attn_v" -> "self_attn." + module.charAt(5) + "_proj";
      case "attn_qkv" -> "self_attn.qkv_proj";
      case "attn_output" -> "self_attn.o_proj";
      case "attn_q_norm" -> "self_attn.q_norm";
      case "attn_k_norm" -> "self_attn.k_norm";
      case "ffn_norm" -> gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm";
      case "post_attention_norm" -> "post_attention_layernorm";
      case "post_ffw_norm" -> "post_feedforward_layernorm";
      case "ffn_gate" -> "mlp.gate_proj";
      case "ffn_up" -> architecture.equals("phi3") ? "mlp.gate_up_proj" : "mlp.up_proj";
      case "ffn_down" -> "mlp.down_proj";
      case "ffn_gate_inp" ->
          switch (architecture) {
            case "llama" -> "block_sparse_moe.gate";
            case "gpt-oss" -> "mlp.router";
            default -> "mlp.gate";
          };
      case "ffn_gate_inp_shexp" -> "mlp.shared_expert_gate";
      case "ffn_gate_shexp" -> "mlp.shared_expert.gate_proj";
      case "ffn_up_shexp" -> "mlp.shared_expert.up_proj";
      case "ffn_down_shexp" -> "mlp.shared_expert.down_proj";
      default -> throw new IllegalStateException(module);
    };
  }

  private void writeWeights(Path directory, int shards) throws IOException {
    List<String> names = tensors.keySet().stream().sorted().toList();
    JsonObject map = new JsonObject();
    for (int s = 0; s < shards; s++) {
      String file =
          shards == 1
              ? "model.safetensors"
              : "model-%05d-of-%05d.safetensors".formatted(s + 1, shards);
      JsonObject header = new JsonObject();
      JsonObject about = new JsonObject();
      about.addProperty("format", "pt");
      header.add("__metadata__", about);
      List<byte[]> data = new ArrayList<>();
      long offset = 0;
      for (int i = s; i < names.size(); i += shards) {
        Tensor tensor = tensors.get(names.get(i));
        JsonObject entry = new JsonObject();
        entry.addProperty("dtype", tensor.type);
        JsonArray shape = new JsonArray();
        tensor.shape.forEach(shape::add);
        entry.add("shape", shape);
        JsonArray range = new JsonArray();
        range.add(offset);
        offset += tensor.bytes.length;
        range.add(offset);
        entry.add("data_offsets", range);
        header.add(names.get(i), entry);
        data.add(tensor.bytes);
        map.addProperty(names.get(i), file);
      }
      byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
      ByteBuffer all =
          ByteBuffer.allocate(Math.toIntExact(8 + json.length + offset))
              .order(ByteOrder.LITTLE_ENDIAN);
      all.putLong(json.length).put(json);
      data.forEach(all::put);
      Files.write(directory.resolve(file), all.array());
    }
    if (shards > 1) {
      JsonObject index = new JsonObject();
      index.add("weight_map", map);
      Files.writeString(directory.resolve("model.safetensors.index.json"), index.toString());
    }
  }

  // Configuration

  private JsonObject config() {
    JsonObject config = new JsonObject();
    boolean experts = gguf.metadata().has(architecture + ".expert_count");
    config.addProperty(
        "model_type",
        architecture.equals("llama") && experts ? "mixtral" : HubNames.type(architecture));
    config.addProperty("tie_word_embeddings", !gguf.tensors().containsKey("output.weight"));
    copy(config, "max_position_embeddings", "context_length");
    copy(config, "hidden_size", "embedding_length");
    copy(config, "vocab_size", "vocab_size");
    copy(config, "intermediate_size", "feed_forward_length");
    copy(config, "num_attention_heads", "attention.head_count");
    copy(config, "num_key_value_heads", "attention.head_count_kv");
    if (!architecture.equals("deepseek2")) {
      config.addProperty("head_dim", headSize());
    }
    copy(config, "rms_norm_eps", "attention.layer_norm_rms_epsilon");
    config.addProperty("rope_theta", 10_000);
    copy(config, "rope_theta", "rope.freq_base");
    copy(config, "rope_local_base_freq", "rope.freq_base_swa");
    config.addProperty("query_pre_attn_scalar", headSize());
    config.addProperty("norm_topk_prob", !architecture.equals("qwen2moe"));
    for (String kind : List.of("attention", "mlp")) {
      String name = kind.equals("mlp") ? "ffn_up.bias" : "attn_q.bias";
      config.addProperty(kind + "_bias", gguf.tensors().containsKey("blk.0." + name));
    }
    copy(config, "sliding_window", "attention.sliding_window");
    copy(config, "attn_logit_softcapping", "attn_logit_softcapping");
    copy(config, "final_logit_softcapping", "final_logit_softcapping");
    copy(config, "embedding_multiplier", "embedding_scale");
    copy(config, "residual_multiplier", "residual_scale");
    copy(config, "attention_multiplier", "attention.scale");
    copy(config, "logits_scaling", "logit_scale");
    boolean local = Set.of("llama", "gpt-oss").contains(architecture);
    copy(config, local ? "num_local_experts" : "num_experts", "expert_count");
    copy(config, "num_experts_per_tok", "expert_used_count");
    copy(config, "moe_intermediate_size", "expert_feed_forward_length");
    copy(config, "shared_expert_intermediate_size", "expert_shared_feed_forward_length");
    names.keys().forEach(key -> copy(config, key[0], key[1]));
    states(config);
    long guesses = gguf.metadata().integer(architecture + ".nextn_predict_layers", 0);
    config.addProperty("num_hidden_layers", integer("block_count") - guesses);
    if (architecture.equals("falcon-h1")) {
      multipliers(config);
    }
    if (architecture.equals("ernie4_5-moe")) {
      config.addProperty("moe_num_shared_experts", 2);
    }
    if (architecture.equals("jamba")) {
      config.addProperty("mamba_dt_rank", integer("ssm.time_step_rank"));
    }
    if (architecture.equals("deepseek2")) {
      long rotated = integer("rope.dimension_count");
      config.addProperty("qk_nope_head_dim", integer("attention.key_length_mla") - rotated);
    }
    long mask = gguf.metadata().integer("tokenizer.ggml.mask_token_id", -1);
    config.addProperty("mask_token_id", mask);
    JsonObject rope = new JsonObject();
    if (gguf.metadata().has(architecture + ".rope.scaling.alpha")) {
      rope.addProperty("type", "dynamic");
      copy(rope, "alpha", "rope.scaling.alpha");
    }
    String multiplier = architecture + ".rope.scaling.yarn_log_multiplier";
    if (gguf.metadata().has(multiplier)) {
      rope.addProperty("mscale", 10 * gguf.metadata().real(multiplier));
      rope.addProperty("mscale_all_dim", 10 * gguf.metadata().real(multiplier));
    }
    copy(rope, "rope_type", "rope.scaling.type");
    copy(rope, "factor", "rope.scaling.factor");
    copy(rope, "beta_fast", "rope.scaling.yarn_beta_fast");
    copy(rope, "beta_slow", "rope.scaling.yarn_beta_slow");
    copy(
        architecture.equals("phi3") ? config : rope,
        "original_max_position_embeddings",
        "rope.scaling.original_context_length");
    copy(rope, "llama_4_scaling_beta", "attention.temperature_scale");
    for (String length : List.of("long", "short")) {
      TensorInfo factors = gguf.tensors().get("rope_factors_" + length + ".weight");
      if (factors != null) {
        rope.addProperty("rope_type", "longrope");
        copy(rope, "attention_factor", "rope.scaling.attn_factor");
        JsonArray values = new JsonArray();
        FloatsIn floats = new FloatsIn(read(factors));
        for (int i = 0; i < factors.values(); i++) {
          values.add(floats.get(i));
        }
        rope.add(length + "_factor", values);
      }
    }
    if (!rope.isEmpty()) {
      config.add("rope_scaling", rope);
    }
    return config;
  }

  /** Keys that follow from several of GGUF. */
  private void states(JsonObject config) {
    Metadata metadata = gguf.metadata();
    String heads = architecture + ".attention.head_count_kv";
    JsonArray types = new JsonArray();
    if (metadata.has(heads) && metadata.integers(heads).length > 1) {
      long[] all = metadata.integers(heads);
      LongStream.of(all).forEach(n -> types.add(n == 0 ? recurrent() : "full_attention"));
      config.addProperty("num_key_value_heads", LongStream.of(all).max().orElseThrow());
    }
    String flags = architecture + ".attention.recurrent_layers";
    if (metadata.has(flags)) {
      LongStream.of(metadata.integers(flags))
          .limit(
              integer("block_count") - metadata.integer(architecture + ".nextn_predict_layers", 0))
          .forEach(n -> types.add(n != 0 ? "linear_attention" : "full_attention"));
    }
    if (architecture.startsWith("nemotron_h")) {
      long[] kvHeads = metadata.integers(heads);
      long[] widths = metadata.integers(architecture + ".feed_forward_length");
      String other = architecture.endsWith("_moe") ? "E" : "-";
      StringBuilder pattern = new StringBuilder();
      for (int l = 0; l < widths.length; l++) {
        pattern.append(kvHeads[l] > 0 ? "*" : widths[l] > 0 ? other : "M");
      }
      config.addProperty("hybrid_override_pattern", pattern.toString());
      config.addProperty("intermediate_size", LongStream.of(widths).max().orElseThrow());
      config.addProperty(
          "mamba_head_dim", integer("ssm.inner_size") / integer("ssm.time_step_rank"));
    } else if (!types.isEmpty()) {
      config.add("layer_types", types);
    }
    if (metadata.has(architecture + ".ssm.inner_size")) {
      long inner = integer("ssm.inner_size");
      long rank = integer("ssm.time_step_rank");
      config.addProperty("linear_value_head_dim", inner / rank);
      config.addProperty("expand", inner / integer("embedding_length"));
      config.addProperty("mamba_expand", inner / integer("embedding_length"));
      if (architecture.equals("mamba2")) {
        config.addProperty("head_dim", inner / rank);
      }
    }
    if (architecture.equals("granitehybrid") && !metadata.has(architecture + ".expert_count")) {
      config.addProperty("num_local_experts", 0);
    }
    if (architecture.equals("lfm2")) {
      config.addProperty("block_auto_adjust_ff_dim", false);
    }
    if (metadata.has(architecture + ".rope.dimension_count")) {
      config.addProperty(
          "partial_rotary_factor", (double) integer("rope.dimension_count") / headSize());
    }
  }

  private String recurrent() {
    return architecture.startsWith("lfm2") ? "conv" : "mamba";
  }

  private void copy(JsonObject into, String hub, String key) {
    switch (gguf.metadata().all().get(architecture + "." + key)) {
      case Number number -> into.addProperty(hub, number);
      case String text -> into.addProperty(hub, text);
      case null, default -> {}
    }
  }

  private long headSize() {
    if (gguf.metadata().integer(architecture + ".attention.head_count", 0) == 0) {
      return 0;
    }
    return gguf.metadata()
        .integer(
            architecture + ".attention.key_length",
            integer("embedding_length") / integer("attention.head_count"));
  }

  private long integer(String key) {
    return gguf.metadata().integer(architecture + "." + key);
  }

  // Tokenizer

  private JsonObject tokenizer() {
    Metadata metadata = gguf.metadata();
    List<String> tokens = metadata.strings("tokenizer.ggml.tokens");
    long[] types = metadata.integers("tokenizer.ggml.token_type");
    boolean overBytes = metadata.string("tokenizer.ggml.model").equals("gpt2");
    JsonObject vocabulary = new JsonObject();
    JsonArray added = new JsonArray();
    for (int id = 0; id < tokens.size(); id++) {
      if (types[id] == 3 || types[id] == 4 || types[id] == 2) {
        JsonObject token = new JsonObject();
        token.addProperty("id", id);
        token.addProperty("content", tokens.get(id));
        token.addProperty("special", types[id] != 4);
        added.add(token);
      }
      vocabulary.addProperty(tokens.get(id), id);
    }
    JsonObject model = new JsonObject();
    model.addProperty("type", "BPE");
    model.addProperty("byte_fallback", !overBytes);
    model.addProperty(
        "ignore_merges",
        Set.of("llama-bpe", "tekken")
            .contains(metadata.findString("tokenizer.ggml.pre").orElse("")));
    if (!overBytes) {
      model.addProperty("unk_token", tokens.getFirst());
    }
    model.add("vocab", vocabulary);
    JsonArray merges = new JsonArray();
    if (overBytes) {
      metadata.strings("tokenizer.ggml.merges").forEach(merges::add);
    } else {
      sentencePieceMerges(tokens, types).forEach(merges::add);
    }
    model.add("merges", merges);
    JsonObject root = new JsonObject();
    root.addProperty("version", "1.0");
    root.add("added_tokens", added);
    if (overBytes) {
      root.add("pre_tokenizer", preTokenizer(metadata.string("tokenizer.ggml.pre")));
    } else {
      boolean prepends = metadata.flag("tokenizer.ggml.add_space_prefix", true);
      root.add("normalizer", JsonParser.parseString(prepends ? PREPENDED : REPLACED));
    }
    root.add("decoder", JsonParser.parseString(overBytes ? BYTES : PIECES));
    root.add("model", model);
    return root;
  }

  /** All ways to make a token of two, the best token first, as pairs. */
  private List<JsonArray> sentencePieceMerges(List<String> tokens, long[] types) {
    float[] scores = gguf.metadata().reals("tokenizer.ggml.scores");
    Map<String, Integer> ids = new HashMap<>();
    List<Integer> order = new ArrayList<>();
    for (int id = 0; id < scores.length; id++) {
      if (types[id] == 1) {
        ids.put(tokens.get(id), id);
        order.add(id);
      }
    }
    order.sort(Comparator.comparingDouble(id -> -scores[id]));
    List<JsonArray> merges = new ArrayList<>();
    for (int id : order) {
      String token = tokens.get(id);
      for (int cut = 1; cut < token.length(); cut++) {
        if (ids.containsKey(token.substring(0, cut)) && ids.containsKey(token.substring(cut))) {
          JsonArray pair = new JsonArray();
          pair.add(token.substring(0, cut));
          pair.add(token.substring(cut));
          merges.add(pair);
        }
      }
    }
    return merges;
  }

  private static JsonObject preTokenizer(String name) {
    String regex = REGEXES.get(name);
    JsonObject bytes = new JsonObject();
    bytes.addProperty("type", "ByteLevel");
    bytes.addProperty("add_prefix_space", false);
    bytes.addProperty("use_regex", regex == null);
    JsonObject first = new JsonObject();
    if (regex == null) {
      first.addProperty("type", "Digits");
      first.addProperty("individual_digits", true);
    } else {
      first.addProperty("type", "Split");
      JsonObject pattern = new JsonObject();
      pattern.addProperty("Regex", regex);
      first.add("pattern", pattern);
      first.addProperty("behavior", "Isolated");
      first.addProperty("invert", false);
    }
    JsonArray both = new JsonArray();
    both.add(first);
    both.add(bytes);
    JsonObject sequence = new JsonObject();
    sequence.addProperty("type", "Sequence");
    sequence.add("pretokenizers", both);
    return sequence;
  }

  private JsonObject tokenizerConfig() {
    Metadata metadata = gguf.metadata();
    List<String> tokens = metadata.strings("tokenizer.ggml.tokens");
    JsonObject config = new JsonObject();
    for (String name : List.of("bos", "eos")) {
      JsonObject token = new JsonObject();
      token.addProperty(
          "content", tokens.get((int) metadata.integer("tokenizer.ggml." + name + "_token_id")));
      config.add(name + "_token", token);
    }
    config.addProperty("add_bos_token", metadata.flag("tokenizer.ggml.add_bos_token", false));
    config.addProperty("chat_template", "{{ messages }}");
    return config;
  }

  private byte[] read(TensorInfo tensor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes());
      gguf.read(tensor, 0, bytes);
      return bytes.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private record FloatsIn(byte[] bytes) {
    float get(int index) {
      return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getFloat(index * 4);
    }

    void set(int index, float value) {
      ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(index * 4, value);
    }
  }
}
