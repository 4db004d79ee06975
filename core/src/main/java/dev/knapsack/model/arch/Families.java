package dev.knapsack.model.arch;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.TensorSpec;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The model families that can be run, by the architecture that a file names. */
public final class Families {
  private static final Map<String, Family> BY_ARCHITECTURE =
      Map.ofEntries(
          Map.entry("llama", new Llama()),
          Map.entry("mistral3", new Mistral3()),
          Map.entry("qwen2", new Qwen2()),
          Map.entry("qwen2moe", new Qwen2Moe()),
          Map.entry("qwen3", new Qwen3()),
          Map.entry("qwen3moe", new Qwen3()),
          Map.entry("qwen3next", new Qwen3Next()),
          Map.entry("qwen35", new Qwen35()),
          Map.entry("qwen35moe", new Qwen35()),
          Map.entry("kimi-linear", new KimiLinear()),
          Map.entry("mom", new Mom()),
          Map.entry("bmojo", new BMojo()),
          Map.entry("matmul-free", new MatMulFree()),
          Map.entry("smollm3", new SmolLm3()),
          Map.entry("granite", new Granite()),
          Map.entry("lfm2", new Lfm2()),
          Map.entry("lfm2moe", new Lfm2()),
          Map.entry("mamba", new Mamba()),
          Map.entry("mamba2", new Mamba2()),
          Map.entry("bi-mamba", new BiMamba()),
          Map.entry("mambamixer", new MambaMixer()),
          Map.entry("jamba", new Jamba()),
          Map.entry("plamo2", new Plamo2()),
          Map.entry("rwkv7", new Rwkv7()),
          Map.entry("arwkv7", new Arwkv7()),
          Map.entry("falcon-h1", new FalconH1()),
          Map.entry("nemotron_h", new NemotronH()),
          Map.entry("nemotron_h_moe", new NemotronH()),
          Map.entry("granitehybrid", new GraniteHybrid()),
          Map.entry("phi3", new Phi3()),
          Map.entry("gemma2", new Gemma2()),
          Map.entry("gemma3", new Gemma3()),
          Map.entry("gemma3n", new Gemma3n()),
          Map.entry("gemma4", new Gemma4()),
          Map.entry("gpt-oss", new GptOss()),
          Map.entry("ernie4_5", new Llama()),
          Map.entry("ernie4_5-moe", new Ernie45Moe()),
          Map.entry("seed_oss", new Qwen2()),
          Map.entry("deepseek2", new DeepSeek2()),
          Map.entry("glm4", new Glm4()),
          Map.entry("glm4moe", new Glm4Moe()),
          Map.entry("minimax-m2", new MiniMaxM2()),
          Map.entry("llama4", new Llama4()),
          Map.entry("smallthinker", new SmallThinker()),
          Map.entry("exaone4", new Exaone4()),
          Map.entry("olmo2", new Olmo2()),
          Map.entry("apertus", new Apertus()),
          Map.entry("starcoder2", new StarCoder2()),
          Map.entry("hunyuan-dense", new HunyuanDense()),
          Map.entry("bitnet", new BitNet()),
          Map.entry("llada", new Llada()),
          Map.entry("llada-moe", new LladaMoe()),
          Map.entry("dream", new Dream()),
          Map.entry("memoryformer", new MemoryFormer()),
          Map.entry("move", new Move()),
          Map.entry("engram", new Engram()),
          Map.entry("cohere2", new Cohere2()),
          Map.entry("embbert", new EmbBert()),
          Map.entry("bert", new Bert()),
          Map.entry("nomic-bert", new NomicBert()),
          Map.entry("jina-bert-v2", new JinaBertV2()),
          Map.entry("modern-bert", new ModernBert()),
          Map.entry("gemma-embedding", new GemmaEmbedding()));

  private Families() {}

  /** The architectures, as {@code general.architecture} names them, in order. */
  public static Set<String> supported() {
    return new TreeSet<>(BY_ARCHITECTURE.keySet());
  }

  /** The spec of a model that is to handle as many tokens as it was trained for. */
  public static ModelSpec spec(ModelFile file) {
    Header header = header(file);
    return family(file).spec(header, header.context());
  }

  /**
   * The spec of a model, from its header (and, of the tensors, the few numbers that scale the
   * rotary embedding).
   *
   * @param context tokens that a sequence may hold: some models rotate otherwise when it is more
   *     than they were first trained for
   * @throws ModelFileException if the architecture is not supported, a hyperparameter is missing or
   *     impossible, or a tensor is missing or has another shape than the hyperparameters say
   */
  public static ModelSpec spec(ModelFile file, int context) {
    return family(file).spec(header(file), context);
  }

  /**
   * Says whether the rows of queries and keys lie in halves, though the architecture has adjacent
   * pairs in GGUF files: as the hub has them, whose directories say so.
   */
  public static boolean rowsInHalves(ModelFile file) {
    if (!file.metadata().has(ModelFile.ROPE_PAIRS)) {
      return false; // quantizing asks it of architectures that cannot be run, too
    }
    Rope.Pairs usual = family(file).pairs();
    return usual == Rope.Pairs.ADJACENT && Ropes.pairs(file, usual) == Rope.Pairs.HALF_SPLIT;
  }

  /** Says whether models of a file's architecture can be run. */
  public static boolean supports(ModelFile file) {
    return BY_ARCHITECTURE.containsKey(file.metadata().string("general.architecture"));
  }

  /**
   * The tensors that files of a family have at the least beside the token embedding and the output
   * projection, by what the metadata say: those of a published file, whatever this one has.
   */
  public static List<TensorSpec> tensors(ModelFile file) {
    return family(file).tensors(header(file));
  }

  private static Header header(ModelFile file) {
    family(file);
    return new Header(file, file.metadata().string("general.architecture"));
  }

  private static Family family(ModelFile file) {
    String architecture = file.metadata().string("general.architecture");
    Family family = BY_ARCHITECTURE.get(architecture);
    if (family == null) {
      throw new ModelFileException(
          file.path(),
          "general.architecture",
          "'%s' is not supported; supported are %s"
              .formatted(architecture, String.join(", ", supported())));
    }
    return family;
  }
}
