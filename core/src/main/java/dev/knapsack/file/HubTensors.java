package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.HubFamily.Trait;
import dev.knapsack.file.SafetensorsHeader.Entry;
import dev.knapsack.file.TensorSource.Change;
import dev.knapsack.file.TensorSource.Extent;
import dev.knapsack.file.TensorSource.Factor;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Turns the tensors of safetensors files into those that GGUF has of the same model: other names,
 * experts in one tensor, small ones in F32.
 */
final class HubTensors {
  private static final Pattern LAYER = Pattern.compile("(?:layers|blocks)\\.(\\d{1,4})\\.(.+)");
  private static final Pattern EXPERT = Pattern.compile("(.*\\.experts)\\.(\\d{1,4})\\.(\\w+)");
  private static final Pattern GPT_OSS =
      Pattern.compile("mlp\\.experts\\.(gate_up|down)_proj_(blocks|scales|bias)");
  private static final Pattern PREFIX =
      Pattern.compile(
          "(language_model\\.)?(model\\.)?(language_model\\.)?(backbone\\.|transformer\\.)?");

  /** Parts of models that see or guess ahead, and tables that are computed. */
  private static final Pattern IGNORED =
      Pattern.compile(
          "(model\\.)?(vision_tower|vision_model|multi_modal_projector|visual|mtp|mtp_\\w+)\\..*|.*\\.rotary_emb\\.inv_freq");

  private static final int MOST_EXPERTS = 1 << 16;

  /** Bytes of two tensors that are compared at once. */
  private static final long COMPARED = 1 << 20;

  /** A tensor as GGUF has it. */
  record Part(TensorInfo info, TensorSource source) {}

  /** A tensor in one of the files. */
  record Raw(OpenFile file, String name, Entry entry) {
    Extent extent() {
      return new Extent(file, entry.offset(), entry.bytes());
    }

    /** Says whether the files have the same bytes for both. */
    boolean sameNumbers(Raw other) {
      if (!entry.type().equals(other.entry.type()) || !entry.shape().equals(other.entry.shape())) {
        return false;
      }
      try (Arena arena = Arena.ofConfined()) {
        long most = Math.min(COMPARED, Math.max(1, entry.bytes()));
        MemorySegment mine = arena.allocate(most);
        MemorySegment others = arena.allocate(most);
        for (long at = 0; at < entry.bytes(); at += most) {
          long length = Math.min(most, entry.bytes() - at);
          extent().read(name, at, mine.asSlice(0, length));
          other.extent().read(other.name, at, others.asSlice(0, length));
          if (mine.asSlice(0, length).mismatch(others.asSlice(0, length)) >= 0) {
            return false;
          }
        }
      }
      return true;
    }

    ModelFileException error(String problem) {
      return new ModelFileException(file.path(), name, problem);
    }

    Format format() {
      return switch (entry.type()) {
        case "F32" -> Formats.F32;
        case "F16" -> Formats.F16;
        case "BF16" -> Formats.BF16;
        default -> throw error("dtype " + entry.type() + "; F32, F16 and BF16 are supported here");
      };
    }

    /** The dimensions as GGUF orders them: the first runs fastest. */
    List<Long> shape(int most) {
      if (entry.shape().isEmpty() || entry.shape().size() > most) {
        throw error("shape %s; at most %d dimensions are expected".formatted(entry.shape(), most));
      }
      return entry.shape().reversed();
    }
  }

  private final HubConfig config;
  private final HubFamily family;
  private final HubMultipliers multipliers;
  private @Nullable Raw head;
  private @Nullable Raw embedding;
  private int ignoredBiases;
  private final List<Part> parts = new ArrayList<>();
  private final Map<String, NavigableMap<Integer, Raw>> experts = new LinkedHashMap<>();
  private final Map<String, Map<String, Raw>> packed = new LinkedHashMap<>();

  HubTensors(HubConfig config) {
    this.config = config;
    this.family = config.family();
    this.multipliers = new HubMultipliers(config);
  }

  /** Takes all tensors of a file. */
  void add(OpenFile file, SafetensorsHeader header) {
    header.tensors().forEach((name, entry) -> add(new Raw(file, name, entry)));
  }

  /**
   * Takes the matrix of a file of its own: one that follows pooling.
   *
   * @return its shape, as GGUF has it
   */
  List<Long> addDense(String name, OpenFile file, SafetensorsHeader header) {
    Entry weight = header.tensors().get("linear.weight");
    if (weight == null || header.tensors().size() != 1) {
      throw new ModelFileException(
          file.path(),
          "tensors",
          header.tensors().keySet() + "; linear.weight alone is supported after pooling");
    }
    Raw raw = new Raw(file, "linear.weight", weight);
    plain(name, raw);
    return raw.shape(2);
  }

  /** Takes numbers that no file holds. */
  void add(String name, float[] values) {
    parts.add(
        new Part(
            new TensorInfo(name, Formats.F32, List.of((long) values.length)),
            new TensorSource.Constant(values)));
  }

  /**
   * All tensors, layer after layer.
   *
   * @throws ModelFileException if one is there twice, or an expert is missing
   */
  Map<String, Part> build() {
    output();
    experts.forEach(this::stack);
    packed.forEach(this::unpack);
    Map<String, Part> result = new LinkedHashMap<>();
    parts.sort(Comparator.comparingInt(part -> layer(part.info.name())));
    for (Part part : parts) {
      if (result.put(part.info.name(), part) != null) {
        throw new IllegalStateException("two of its tensors are " + part.info.name());
      }
    }
    return result;
  }

  private static int layer(String name) {
    Matcher matcher = Pattern.compile("blk\\.(\\d+)\\..*").matcher(name);
    return matcher.matches() ? Integer.parseInt(matcher.group(1)) : -1;
  }

  /** The name without its layer, if it is in one. */
  private static String suffix(String name) {
    return name.replaceFirst("^blk\\.\\d+\\.", "");
  }

  private void add(Raw raw) {
    if (IGNORED.matcher(raw.name).matches()) {
      return;
    }
    Matcher prefix = PREFIX.matcher(raw.name);
    String name = prefix.lookingAt() ? raw.name.substring(prefix.end()) : raw.name;
    switch (name) {
      case "embed_tokens.weight", "embeddings.weight", "wte.weight" -> {
        embedding = raw;
        plain("token_embd.weight", raw);
      }
      case "norm.weight", "norm_f.weight", "final_layernorm.weight", "ln_f.weight" ->
          plain("output_norm.weight", raw);
      case "norm.bias" -> plain("output_norm.bias", raw);
      case "embedding_norm.weight" -> plain("token_embd_norm.weight", raw);
      case "lm_head.weight", "ff_out.weight" -> head = raw;
      case "score.weight" -> {
        if (!config.judges()) {
          throw unknown(raw);
        }
        plain("cls.output.weight", raw);
      }
      default -> {
        Matcher layer = LAYER.matcher(name);
        if (!layer.matches()) {
          throw unknown(raw);
        }
        int number = Integer.parseInt(layer.group(1));
        if (!config.guessesAhead(number)) {
          inLayer("blk." + number + ".", layer.group(2), raw);
        }
      }
    }
  }

  private void inLayer(String prefix, String name, Raw raw) {
    Matcher gptOss = GPT_OSS.matcher(name);
    if (gptOss.matches()) {
      packed
          .computeIfAbsent(prefix + gptOss.group(1), n -> new LinkedHashMap<>())
          .put(gptOss.group(2), raw);
      return;
    }
    @Nullable String whole = family.tensors().get(name);
    if (whole != null) {
      named(prefix, whole, "", raw);
      return;
    }
    int dot = name.lastIndexOf('.');
    String kind = name.substring(dot + 1);
    String module = name.substring(0, Math.max(0, dot));
    if (!kind.equals("weight") && !kind.equals("bias")) {
      throw unknown(raw);
    }
    Matcher expert = EXPERT.matcher(module);
    if (expert.matches()) {
      String gguf = gguf(expert.group(1) + "." + expert.group(3), raw);
      experts
          .computeIfAbsent(prefix + gguf + "." + kind, n -> new TreeMap<>())
          .put(Integer.parseInt(expert.group(2)), raw);
    } else {
      String gguf = gguf(module, raw);
      if (kind.equals("weight") || config.biased(gguf)) {
        named(prefix, gguf, "." + kind, raw);
      } else {
        ignoredBiases++;
      }
    }
  }

  /** The output projection: as in the files, unless it is the embedding once more. */
  private void output() {
    if (ignoredBiases > 0) {
      config.note(
          ignoredBiases
              + " bias tensors are left out: by config.json the model has no such biases");
    }
    if (head == null) {
      if (!config.tied() && !config.pools()) {
        config.note(
            "there is no lm_head.weight, though config.json says that it is not the embedding; the"
                + " embedding is taken");
      }
      if (embedding != null && multipliers.tellOutputApart()) {
        plain("output.weight", embedding);
      }
      return;
    }
    if (!config.tied() || embedding == null || multipliers.tellOutputApart()) {
      plain("output.weight", head);
    } else if (!head.sameNumbers(embedding)) {
      plain("output.weight", head);
      config.note(
          "config.json ties the output projection to the embedding, and the files have another;"
              + " that of the files is taken");
    }
  }

  private String gguf(String module, Raw raw) {
    @Nullable String gguf = family.module(module);
    if (gguf == null) {
      throw unknown(raw);
    }
    // The expert for every token is the MLP where there are no others.
    return config.hasExperts() ? gguf : gguf.replace("_shexp", "");
  }

  private ModelFileException unknown(Raw raw) {
    return raw.error("no tensor of this name is known in a model like " + family.architecture());
  }

  /** Takes a layer's tensor, or those that its rows are split among. */
  private void named(String prefix, String gguf, String kind, Raw raw) {
    String[] names = gguf.split("\\|", -1);
    if (names.length == 1) {
      plain(prefix + gguf + kind, raw);
      return;
    }
    List<Long> shape = new ArrayList<>(raw.shape(3));
    if (shape.size() < 2 || shape.get(1) % names.length != 0) {
      throw raw.error("shape %s; rows of %d are expected".formatted(shape, names.length));
    }
    shape.set(1, shape.get(1) / names.length);
    Extent all = raw.extent();
    int wholes = shape.size() == 2 ? 1 : Math.clamp(shape.get(2), 0, MOST_EXPERTS + 1);
    if (wholes == 0 || wholes > MOST_EXPERTS) {
      throw raw.error("shape %s; 1 to %,d experts are expected".formatted(shape, MOST_EXPERTS));
    }
    long bytes = all.bytes() / wholes / names.length;
    for (int n = 0; n < names.length; n++) {
      List<Extent> pieces = new ArrayList<>();
      for (int w = 0; w < wholes; w++) {
        long place = ((long) w * names.length + n) * bytes;
        pieces.add(new Extent(all.file(), all.offset() + place, bytes));
      }
      parts.add(
          new Part(
              new TensorInfo(prefix + names[n] + kind, raw.format(), shape),
              new TensorSource.Pieces(pieces)));
    }
  }

  private void plain(String name, Raw raw) {
    boolean taps = name.contains("conv");
    List<Long> shape = raw.shape(taps || name.contains("_exps.") ? 3 : 2);
    if (taps && shape.size() == 3 && shape.get(1) == 1) {
      shape = List.of(shape.get(0), shape.get(2));
    }
    boolean row = name.endsWith("ffn_gate_inp_shexp.weight") || name.endsWith("exp_probs_b.bias");
    if (row && shape.getLast() == 1) {
      shape = shape.subList(0, 1);
    }
    boolean rate = raw.name.endsWith("A_log");
    TensorInfo info;
    TensorSource source;
    if (shape.size() > 1 && !rate && !taps) {
      info = new TensorInfo(name, raw.format(), shape);
      List<Factor> factors = multipliers.of(suffix(name), shape.getLast());
      source =
          factors.isEmpty()
              ? new TensorSource.Pieces(List.of(raw.extent()))
              : new TensorSource.Scaled(raw.extent(), raw.format(), shape.getFirst(), factors);
    } else {
      info = new TensorInfo(name, Formats.F32, spread(name, shape, raw));
      Change change = rate ? Change.RATE : Change.NONE;
      if (name.endsWith("norm.weight")
          && !name.endsWith("ssm_norm.weight")
          && family.is(Trait.NORMS_PLUS_ONE)) {
        change = Change.PLUS_ONE;
      }
      source = new TensorSource.Numbers(raw.extent(), raw.format(), 0, 1, change);
    }
    parts.add(
        new Part(
            info,
            family.is(Trait.HEADS_TOGETHER) && raw.name.contains("linear_attn.")
                ? regrouped(name, info, source, raw)
                : source));
  }

  /** The shape that GGUF has of numbers of heads, and of the factors of norms over groups. */
  private List<Long> spread(String name, List<Long> shape, Raw raw) {
    if (!family.is(Trait.STATE_SPACE) || shape.size() != 1) {
      return shape;
    }
    long numbers = shape.getFirst();
    if (name.endsWith("ssm_a") || name.endsWith("ssm_d")) {
      return List.of(1L, numbers);
    }
    if (!name.endsWith("ssm_norm.weight")) {
      return shape;
    }
    long groups = Math.max(1, config.required(family.hubKey("ssm.group_count").orElseThrow()));
    if (numbers % groups != 0) {
      throw raw.error("%,d numbers are not of %,d groups".formatted(numbers, groups));
    }
    return List.of(numbers / groups, groups);
  }

  /** Qwen 3.5: GGUF has value heads in another order. */
  private TensorSource regrouped(String name, TensorInfo info, TensorSource source, Raw raw) {
    long heads = config.required("linear_num_value_heads");
    long groups = config.required("linear_num_key_heads");
    if (heads == 0 || groups == 0 || heads % groups != 0) {
      throw raw.error("%d heads cannot share the keys of %d evenly".formatted(heads, groups));
    }
    String suffix = suffix(name);
    if (heads == groups || suffix.equals("ssm_norm.weight")) {
      return source;
    }
    boolean mixed = suffix.equals("attn_qkv.weight") || suffix.equals("ssm_conv1d.weight");
    boolean columns = suffix.equals("ssm_out.weight");
    long stretch = columns ? info.format().bytes(info.shape().getFirst()) : info.bytes();
    // Of each token's query, key and value numbers, the first two stay.
    long keys = mixed ? 2 * groups * config.required("linear_key_head_dim") : 0;
    long rows = mixed ? keys + heads * config.required("linear_value_head_dim") : heads;
    boolean fits = keys >= 0 && rows > keys && stretch > 0 && stretch % rows == 0;
    long kept = fits ? stretch / rows * keys : 0;
    if (!fits || (stretch - kept) % heads != 0) {
      throw raw.error("shape %s does not fit %d heads".formatted(info.shape(), heads));
    }
    return new TensorSource.Regrouped(
        source, stretch, kept, (stretch - kept) / heads, (int) groups);
  }

  private void numbers(String name, Raw raw, List<Long> shape, int start, int stride) {
    parts.add(
        new Part(
            new TensorInfo(name, Formats.F32, shape),
            new TensorSource.Numbers(raw.extent(), raw.format(), start, stride, Change.NONE)));
  }

  /** One tensor of all experts: one after the other, as the files have them. */
  private void stack(String name, NavigableMap<Integer, Raw> byExpert) {
    Raw first = byExpert.firstEntry().getValue();
    List<Extent> extents = new ArrayList<>();
    for (Map.Entry<Integer, Raw> expert : byExpert.entrySet()) {
      Raw raw = expert.getValue();
      if (expert.getKey() != extents.size()) {
        throw raw.error("expert " + extents.size() + " before it is missing");
      }
      if (!raw.entry.shape().equals(first.entry.shape())
          || !raw.entry.type().equals(first.entry.type())) {
        throw raw.error("has another shape or dtype than " + first.name);
      }
      extents.add(raw.extent());
    }
    List<Long> shape = new ArrayList<>(first.shape(2));
    shape.add((long) extents.size());
    parts.add(
        new Part(new TensorInfo(name, first.format(), shape), new TensorSource.Pieces(extents)));
  }

  /** gpt-oss: rows of gate and up alternate, codes and scales lie apart. */
  private void unpack(String name, Map<String, Raw> raws) {
    Raw blocks = raws.get("blocks");
    Raw scales = raws.get("scales");
    Raw bias = raws.get("bias");
    if (blocks == null || scales == null || bias == null) {
      throw raws.values()
          .iterator()
          .next()
          .error("blocks, scales and bias belong together; one is missing");
    }
    List<Long> shape = blocks.entry.shape();
    if (shape.size() != 4
        || shape.get(3) != 16
        || !blocks.entry.type().equals("U8")
        || !scales.entry.type().equals("U8")
        || !scales.entry.shape().equals(shape.subList(0, 3))
        || !bias.entry.shape().equals(shape.subList(0, 2))
        || shape.get(2) > 1 << 16) {
      throw blocks.error(
          "U8 blocks of [experts, rows, blocks, 16] with scales and biases to match are expected;"
              + " there are "
              + shape
              + ", "
              + scales.entry.shape()
              + " and "
              + bias.entry.shape());
    }
    int dot = name.lastIndexOf('.') + 1;
    if (name.endsWith("down")) {
      rows(name.substring(0, dot) + "ffn_down_exps", blocks, scales, bias, 0, 1);
    } else {
      if (shape.get(1) % 2 != 0) {
        throw blocks.error("rows of gate and up must alternate, and there are " + shape.get(1));
      }
      rows(name.substring(0, dot) + "ffn_gate_exps", blocks, scales, bias, 0, 2);
      rows(name.substring(0, dot) + "ffn_up_exps", blocks, scales, bias, 1, 2);
    }
  }

  private void rows(String name, Raw blocks, Raw scales, Raw bias, int start, int stride) {
    List<Long> shape = blocks.entry.shape();
    long count = shape.get(0);
    long rows = shape.get(1) / stride;
    long rowBlocks = shape.get(2);
    parts.add(
        new Part(
            new TensorInfo(name + ".weight", Formats.MXFP4, List.of(rowBlocks * 32, rows, count)),
            new TensorSource.Mxfp4Rows(
                blocks.extent(), scales.extent(), (int) rowBlocks, start, stride)));
    numbers(name + ".bias", bias, List.of(rows, count), start, stride);
  }
}
