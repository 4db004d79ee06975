package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.TestData;
import dev.knapsack.tensor.Formats;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Writes golden encoders as the hub has them: the way back, written apart from it. */
final class EncoderFixture {
  /** A tensor as a safetensors file has it. */
  record Tensor(List<Long> shape, byte[] bytes) {}

  private static final Pattern LAYER = Pattern.compile("blk\\.(\\d+)\\.(.+)");

  private EncoderFixture() {}

  static ModelFile golden(String model) {
    return ModelFile.open(TestData.path("golden/" + model + "/model.gguf"));
  }

  static byte[] read(ModelFile model, TensorInfo tensor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(Math.max(1, tensor.bytes()));
      model.read(tensor, 0, bytes.asSlice(0, tensor.bytes()));
      return bytes.asSlice(0, tensor.bytes()).toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /** The numbers of a tensor, whatever its format. */
  static float[] floats(ModelFile model, TensorInfo tensor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes());
      MemorySegment numbers = arena.allocate(tensor.values() * Float.BYTES);
      model.read(tensor, 0, bytes);
      tensor.format().decode(bytes, 0, numbers, 0, tensor.values());
      return numbers.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /**
   * The tensors of a model under other names.
   *
   * @param names lines of GGUF's name, a blank and the hub's, without weight and bias; in layers
   *     with blk.N. and the number as N
   */
  static Map<String, Tensor> named(ModelFile model, String names) {
    Map<String, String> byName =
        names
            .strip()
            .lines()
            .map(line -> line.strip().split(" +", 2))
            .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (TensorInfo tensor : model.tensors().values()) {
      assert tensor.format().equals(Formats.F32);
      int dot = tensor.name().lastIndexOf('.');
      String module = tensor.name().substring(0, dot);
      Matcher layer = LAYER.matcher(module);
      boolean layered = layer.matches();
      String hub = byName.get(layered ? "blk.N." + layer.group(2) : module);
      if (hub == null) {
        throw new IllegalStateException("no name for " + tensor.name());
      }
      if (!hub.equals("-")) {
        tensors.put(
            (layered ? hub.replace(".N.", "." + layer.group(1) + ".") : hub)
                + tensor.name().substring(dot),
            new Tensor(tensor.shape().reversed(), read(model, tensor)));
      }
    }
    return tensors;
  }

  static void safetensors(Path file, Map<String, Tensor> tensors) throws IOException {
    JsonObject header = new JsonObject();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    tensors.forEach((name, tensor) -> {
      JsonObject entry = new JsonObject();
      entry.addProperty("dtype", "F32");
      JsonArray shape = new JsonArray();
      tensor.shape.forEach(shape::add);
      entry.add("shape", shape);
      JsonArray range = new JsonArray();
      range.add(data.size());
      data.writeBytes(tensor.bytes);
      range.add(data.size());
      entry.add("data_offsets", range);
      header.add(name, entry);
    });
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer all =
        ByteBuffer.allocate(8 + json.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
    Files.createDirectories(file.getParent());
    Files.write(file, all.putLong(json.length).put(json).put(data.toByteArray()).array());
  }

  /** The WordPiece tokenizer of a GGUF model as tokenizer.json has it. */
  static void wordPieces(ModelFile model, Path file, boolean lowercase) throws IOException {
    List<String> tokens = model.metadata().strings("tokenizer.ggml.tokens");
    long[] types = model.metadata().integers("tokenizer.ggml.token_type");
    JsonObject vocabulary = new JsonObject();
    JsonArray added = new JsonArray();
    for (int id = 0; id < types.length; id++) {
      String token = tokens.get(id);
      boolean special = types[id] == 3;
      boolean begins = token.startsWith("\u2581");
      vocabulary.addProperty(special ? token : begins ? token.substring(1) : "##" + token, id);
      if (special) {
        JsonObject one = new JsonObject();
        one.addProperty("id", id);
        one.addProperty("content", token);
        one.addProperty("special", true);
        added.add(one);
      }
    }
    JsonObject root =
        JsonParser.parseString(
                """
                {"truncation": {"max_length": 48},
                 "normalizer": {"type": "BertNormalizer", "clean_text": true,
                   "handle_chinese_chars": true, "strip_accents": null, "lowercase": %s},
                 "pre_tokenizer": {"type": "BertPreTokenizer"},
                 "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                 "model": {"type": "WordPiece", "unk_token": "[UNK]",
                   "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}
                """
                    .formatted(lowercase))
            .getAsJsonObject();
    root.add("added_tokens", added);
    root.getAsJsonObject("model").add("vocab", vocabulary);
    Files.writeString(file, root.toString());
  }
}
