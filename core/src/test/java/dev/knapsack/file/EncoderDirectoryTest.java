package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.EncoderFixture.Tensor;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Encoders as the hub has them, against GGUF files of the same models. */
class EncoderDirectoryTest {
  private static final String BERT_LAYER =
      """
      blk.N.attn_q encoder.layer.N.attention.self.query
      blk.N.attn_k encoder.layer.N.attention.self.key
      blk.N.attn_v encoder.layer.N.attention.self.value
      blk.N.attn_output encoder.layer.N.attention.output.dense
      blk.N.attn_output_norm encoder.layer.N.attention.output.LayerNorm
      """;
  private static final String BERT =
      BERT_LAYER
          + """
          token_embd embeddings.word_embeddings
          token_types embeddings.token_type_embeddings
          position_embd embeddings.position_embeddings
          token_embd_norm embeddings.LayerNorm
          blk.N.ffn_up encoder.layer.N.intermediate.dense
          blk.N.ffn_down encoder.layer.N.output.dense
          blk.N.layer_output_norm encoder.layer.N.output.LayerNorm
          """;
  private static final String BERT_CONFIG =
      """
      {"model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
       "intermediate_size": %d, "max_position_embeddings": 64, "type_vocab_size": 2,
       "vocab_size": 256, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
      """;

  @TempDir Path folder;

  private void write(String config, Map<String, Tensor> tensors) throws IOException {
    Files.writeString(folder.resolve("config.json"), config);
    EncoderFixture.safetensors(folder.resolve("model.safetensors"), tensors);
  }

  private void pooling(String mode) throws IOException {
    Files.writeString(
        folder.resolve("modules.json"),
        """
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
         {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
        """);
    Files.createDirectories(folder.resolve("1_Pooling"));
    Files.writeString(
        folder.resolve("1_Pooling/config.json"),
        """
        {"word_embedding_dimension": 64, "pooling_mode_cls_token": false,
         "pooling_mode_mean_tokens": false, "pooling_mode_max_tokens": false, "%s": true}
        """
            .formatted(mode));
  }

  /** The same tensors, and the same keys but for those that are named. */
  private static void assertSame(ModelFile model, ModelFile golden, Set<String> but) {
    assertThat(model.tensors().keySet())
        .containsExactlyInAnyOrderElementsOf(golden.tensors().keySet());
    for (TensorInfo tensor : golden.tensors().values()) {
      TensorInfo mine = model.tensors().get(tensor.name());
      assertThat(mine.shape()).as(tensor.name()).isEqualTo(tensor.shape());
      assertThat(EncoderFixture.floats(model, mine))
          .as(tensor.name())
          .isEqualTo(EncoderFixture.floats(golden, tensor));
    }
    Map<String, Object> mine = new TreeMap<>(model.metadata().all());
    Map<String, Object> theirs = new TreeMap<>(golden.metadata().all());
    theirs.keySet().removeIf(key -> key.startsWith("tokenizer.") && !key.endsWith("type_count"));
    theirs.keySet().removeAll(but);
    theirs.keySet().removeAll(Set.of("general.name", "general.file_type", "general.type"));
    assertThat(mine).containsAllEntriesOf(theirs);
  }

  @Test
  void bertIsItsGguf() throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      write(BERT_CONFIG.formatted(160), EncoderFixture.named(golden, BERT));
      EncoderFixture.wordPieces(golden, folder.resolve("tokenizer.json"), true);
      pooling("pooling_mode_mean_tokens");
      Files.writeString(folder.resolve("sentence_bert_config.json"), "{\"max_seq_length\": 32}");
      Files.writeString(
          folder.resolve("config_sentence_transformers.json"),
          "{\"prompts\": {\"query\": \"query: \"}, \"default_prompt_name\": \"query\"}");
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of());
        assertThat(model.notes()).isEmpty();
        assertThat(model.metadata().integer(ModelFile.EMBEDDED_TOKENS)).isEqualTo(32);
        assertThat(model.metadata().string(ModelFile.PROMPT + "query")).isEqualTo("query: ");
        assertThat(model.metadata().string(ModelFile.USUAL_PROMPT)).isEqualTo("query");
        assertSameTokenizer(model, golden);
      }
    }
  }

  /** The keys that a GGUF file of the model has, and what it does with text. */
  private static void assertSameTokenizer(ModelFile model, ModelFile golden) {
    Metadata gguf = model.ggufMetadata();
    for (String key : golden.metadata().all().keySet()) {
      if (key.startsWith("tokenizer.") && !key.endsWith(".pre")) {
        assertThat(gguf.all().get(key)).as(key).isEqualTo(golden.metadata().all().get(key));
      }
    }
    assertThat(gguf.has("tokenizer.ggml.normalizer.lowercase")).isFalse();
    String text = "The cat, the h\u00e9n \u4e2d Zebra";
    Tokenizer mine = Tokenizer.of(model);
    assertThat(mine.encode(text, true, false))
        .isEqualTo(Tokenizer.of(golden).encode(text, true, false));
  }

  @Test
  void casedPiecesStaySo() throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      write(BERT_CONFIG.formatted(160), EncoderFixture.named(golden, BERT));
      EncoderFixture.wordPieces(golden, folder.resolve("tokenizer.json"), false);
      try (ModelFile model = ModelFile.open(folder)) {
        assertThat(model.ggufMetadata().flag("tokenizer.ggml.normalizer.lowercase")).isFalse();
      }
    }
  }

  @Test
  void aTokenizerIsCutWhereNothingElseSaysIt() throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      write(BERT_CONFIG.formatted(160), EncoderFixture.named(golden, BERT));
      EncoderFixture.wordPieces(golden, folder.resolve("tokenizer.json"), true);
      try (ModelFile model = ModelFile.open(folder)) {
        assertThat(model.metadata().integer(ModelFile.EMBEDDED_TOKENS)).isEqualTo(48);
        assertThat(model.metadata().integer("bert.pooling_type")).isEqualTo(1);
        assertThat(model.notes()).anyMatch(note -> note.contains("their mean is taken"));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"pooling_mode_mean_tokens,1", "pooling_mode_cls_token,2", "pooling_mode_lasttoken,3"})
  void poolingIsWhatItsFileSays(String mode, int type) throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      write(BERT_CONFIG.formatted(160), EncoderFixture.named(golden, BERT));
      pooling(mode);
      try (ModelFile model = ModelFile.open(folder)) {
        assertThat(model.metadata().integer("bert.pooling_type")).isEqualTo(type);
      }
    }
  }

  @Test
  void aCrossEncoderKeepsItsPooler() throws IOException {
    String names =
        BERT.replaceAll("(?m) (\\w)", " bert.$1")
            + "cls bert.pooler.dense\ncls.output classifier\n";
    try (ModelFile golden = EncoderFixture.golden("bert_rerank")) {
      write(
          BERT_CONFIG
              .formatted(144)
              .replaceFirst("\\{", "{\"architectures\": [\"BertForSequenceClassification\"],"),
          EncoderFixture.named(golden, names));
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of());
      }
    }
  }

  @Test
  void robertasFirstPositionsAreCutOff() throws IOException {
    String names =
        BERT.replaceAll("(?m) (\\w)", " roberta.$1")
            + "cls classifier.dense\ncls.output classifier.out_proj\n";
    try (ModelFile golden = EncoderFixture.golden("bert_rerank")) {
      Map<String, Tensor> tensors = EncoderFixture.named(golden, names);
      String positions = "roberta.embeddings.position_embeddings.weight";
      byte[] rows = tensors.get(positions).bytes();
      byte[] more = new byte[rows.length + 2 * 64 * 4];
      Arrays.fill(more, (byte) 63);
      System.arraycopy(rows, 0, more, 2 * 64 * 4, rows.length);
      tensors.put(positions, new Tensor(List.of(66L, 64L), more));
      tensors.put("lm_head.bias", new Tensor(List.of(1L), new byte[4]));
      write(
          BERT_CONFIG
              .formatted(144)
              .replace("\"bert\"", "\"xlm-roberta\"")
              .replace("ings\": 64", "ings\": 66")
              .replaceFirst(
                  "\\{",
                  "{\"architectures\": [\"XLMRobertaForSequenceClassification\"],"
                      + " \"pad_token_id\": 1,"),
          tensors);
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of());
      }
    }
  }

  @Test
  void distilBertHasNoTokenTypes() throws IOException {
    String names =
        """
        token_embd embeddings.word_embeddings
        token_types -
        position_embd embeddings.position_embeddings
        token_embd_norm embeddings.LayerNorm
        blk.N.attn_q transformer.layer.N.attention.q_lin
        blk.N.attn_k transformer.layer.N.attention.k_lin
        blk.N.attn_v transformer.layer.N.attention.v_lin
        blk.N.attn_output transformer.layer.N.attention.out_lin
        blk.N.attn_output_norm transformer.layer.N.sa_layer_norm
        blk.N.ffn_up transformer.layer.N.ffn.lin1
        blk.N.ffn_down transformer.layer.N.ffn.lin2
        blk.N.layer_output_norm transformer.layer.N.output_layer_norm
        """;
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      write(
          """
          {"model_type": "distilbert", "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 160,
           "max_position_embeddings": 64, "vocab_size": 256, "activation": "gelu"}
          """,
          EncoderFixture.named(golden, names));
      try (ModelFile model = ModelFile.open(folder)) {
        assertThat(model.tensors().keySet())
            .doesNotContain("token_types.weight")
            .hasSize(golden.tensors().size() - 1);
        assertThat(model.metadata().integer("tokenizer.ggml.token_type_count")).isEqualTo(1);
        assertThat(model.metadata().integer("bert.feed_forward_length")).isEqualTo(160);
      }
    }
  }

  @Test
  void nomicBertIsItsGguf() throws IOException {
    String names =
        """
        token_embd embeddings.word_embeddings
        token_types embeddings.token_type_embeddings
        token_embd_norm emb_ln
        blk.N.attn_qkv encoder.layers.N.attn.Wqkv
        blk.N.attn_output encoder.layers.N.attn.out_proj
        blk.N.attn_output_norm encoder.layers.N.norm1
        blk.N.ffn_up encoder.layers.N.mlp.fc11
        blk.N.ffn_gate encoder.layers.N.mlp.fc12
        blk.N.ffn_down encoder.layers.N.mlp.fc2
        blk.N.layer_output_norm encoder.layers.N.norm2
        """;
    try (ModelFile golden = EncoderFixture.golden("nomic-bert")) {
      write(
          """
          {"model_type": "nomic_bert", "n_embd": 64, "n_layer": 2, "n_head": 2, "n_inner": 112,
           "n_positions": 512, "max_trained_positions": 128, "vocab_size": 256,
           "type_vocab_size": 2, "activation_function": "swiglu", "layer_norm_epsilon": 1e-12,
           "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "qkv_proj_bias": false,
           "mlp_fc1_bias": false, "mlp_fc2_bias": false, "prenorm": false, "causal": false}
          """,
          EncoderFixture.named(golden, names));
      pooling("pooling_mode_mean_tokens");
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of());
      }
    }
  }

  @Test
  void jinasBertIsItsGguf() throws IOException {
    String names =
        BERT_LAYER
            + """
            token_embd embeddings.word_embeddings
            token_types embeddings.token_type_embeddings
            token_embd_norm embeddings.LayerNorm
            blk.N.ffn_up encoder.layer.N.mlp.gated_layers
            blk.N.ffn_down encoder.layer.N.mlp.wo
            blk.N.layer_output_norm encoder.layer.N.mlp.layernorm
            """;
    try (ModelFile golden = EncoderFixture.golden("jina-bert-v2")) {
      write(
          BERT_CONFIG
              .formatted(96)
              .replace("ings\": 64", "ings\": 512")
              .replaceFirst(
                  "\\{",
                  "{\"position_embedding_type\": \"alibi\", \"feed_forward_type\": \"geglu\","),
          EncoderFixture.named(golden, names));
      pooling("pooling_mode_mean_tokens");
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of());
      }
    }
  }

  @Test
  void modernBertIsItsGguf() throws IOException {
    String names =
        """
        token_embd model.embeddings.tok_embeddings
        token_embd_norm model.embeddings.norm
        output_norm model.final_norm
        blk.N.attn_norm model.layers.N.attn_norm
        blk.N.attn_qkv model.layers.N.attn.Wqkv
        blk.N.attn_output model.layers.N.attn.Wo
        blk.N.ffn_norm model.layers.N.mlp_norm
        blk.N.ffn_up model.layers.N.mlp.Wi
        blk.N.ffn_down model.layers.N.mlp.Wo
        """;
    try (ModelFile golden = EncoderFixture.golden("modern-bert")) {
      Map<String, Tensor> tensors = EncoderFixture.named(golden, names);
      tensors.put("head.dense.weight", new Tensor(List.of(1L, 1L), new byte[4]));
      tensors.put("decoder.bias", new Tensor(List.of(1L), new byte[4]));
      write(
          """
          {"model_type": "modernbert", "hidden_size": 48, "num_hidden_layers": 4,
           "num_attention_heads": 3, "intermediate_size": 64, "max_position_embeddings": 256,
           "vocab_size": 320, "norm_eps": 1e-5, "local_attention": 16,
           "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
           "local_rope_theta": 10000.0, "hidden_activation": "gelu"}
          """,
          tensors);
      pooling("pooling_mode_cls_token");
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of("modern-bert.rope.scaling.type"));
      }
    }
  }

  @Test
  void embeddingGemmaKeepsTheMatricesAfterPooling() throws IOException {
    String names =
        """
        token_embd embed_tokens
        output_norm norm
        blk.N.attn_norm layers.N.input_layernorm
        blk.N.attn_q layers.N.self_attn.q_proj
        blk.N.attn_k layers.N.self_attn.k_proj
        blk.N.attn_v layers.N.self_attn.v_proj
        blk.N.attn_q_norm layers.N.self_attn.q_norm
        blk.N.attn_k_norm layers.N.self_attn.k_norm
        blk.N.attn_output layers.N.self_attn.o_proj
        blk.N.post_attention_norm layers.N.post_attention_layernorm
        blk.N.ffn_norm layers.N.pre_feedforward_layernorm
        blk.N.ffn_gate layers.N.mlp.gate_proj
        blk.N.ffn_up layers.N.mlp.up_proj
        blk.N.ffn_down layers.N.mlp.down_proj
        blk.N.post_ffw_norm layers.N.post_feedforward_layernorm
        dense_2 -
        dense_3 -
        """;
    try (ModelFile golden = EncoderFixture.golden("gemma-embedding")) {
      write(
          """
          {"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"],
           "use_bidirectional_attention": true, "hidden_size": 32, "num_hidden_layers": 7,
           "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
           "intermediate_size": 48, "max_position_embeddings": 256, "vocab_size": 320,
           "sliding_window": 16, "_sliding_window_pattern": 6, "rope_theta": 1000000.0,
           "rope_local_base_freq": 10000.0, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 16,
           "hidden_activation": "gelu_pytorch_tanh"}
          """,
          EncoderFixture.named(golden, names));
      pooling("pooling_mode_mean_tokens");
      for (int number = 2; number <= 3; number++) {
        TensorInfo dense = golden.tensors().get("dense_" + number + ".weight");
        Path module = folder.resolve(number + "_Dense");
        EncoderFixture.safetensors(
            module.resolve("model.safetensors"),
            Map.of(
                "linear.weight",
                new Tensor(dense.shape().reversed(), EncoderFixture.read(golden, dense))));
        Files.writeString(
            module.resolve("config.json"),
            "{\"bias\": false, \"activation_function\": \"torch.nn.modules.linear.Identity\"}");
      }
      Path modules = folder.resolve("modules.json");
      Files.writeString(
          modules,
          Files.readString(modules)
              .replace(
                  "{\"idx\": 2,",
                  "{\"path\": \"2_Dense\", \"type\": \"sentence_transformers.models.Dense\"},"
                      + "{\"path\": \"3_Dense\", \"type\": \"sentence_transformers.models.Dense\"},"
                      + "{\"idx\": 2,"));
      try (ModelFile model = ModelFile.open(folder)) {
        assertThat(model.tensors().keySet())
            .containsExactlyInAnyOrderElementsOf(golden.tensors().keySet());
        for (String same : List.of("dense_2.weight", "dense_3.weight", "blk.6.attn_q.weight")) {
          assertThat(EncoderFixture.floats(model, model.tensors().get(same)))
              .isEqualTo(EncoderFixture.floats(golden, golden.tensors().get(same)));
        }
        Metadata metadata = model.metadata();
        String key = "gemma-embedding.";
        assertThat(metadata.string("general.architecture")).isEqualTo("gemma-embedding");
        assertThat(metadata.flag(key + "attention.causal")).isFalse();
        assertThat(metadata.integer(key + "pooling_type")).isEqualTo(1);
        assertThat(metadata.integer(key + "attention.sliding_window")).isEqualTo(16);
        assertThat(metadata.integers(key + "attention.sliding_window_pattern"))
            .containsExactly(1, 1, 1, 1, 1, 0, 1);
        assertThat(metadata.integer(key + "dense_2_feat_out")).isEqualTo(80);
        assertThat(metadata.integer(key + "dense_3_feat_in")).isEqualTo(80);
        assertThat(metadata.real(key + "rope.freq_base_swa")).isEqualTo(10000);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3_embed", "qwen3_rerank"})
  void qwenSaysHowItPools(String name) throws IOException {
    String names =
        """
        token_embd model.embed_tokens
        output_norm model.norm
        blk.N.attn_norm model.layers.N.input_layernorm
        blk.N.attn_q model.layers.N.self_attn.q_proj
        blk.N.attn_k model.layers.N.self_attn.k_proj
        blk.N.attn_v model.layers.N.self_attn.v_proj
        blk.N.attn_q_norm model.layers.N.self_attn.q_norm
        blk.N.attn_k_norm model.layers.N.self_attn.k_norm
        blk.N.attn_output model.layers.N.self_attn.o_proj
        blk.N.ffn_norm model.layers.N.post_attention_layernorm
        blk.N.ffn_gate model.layers.N.mlp.gate_proj
        blk.N.ffn_up model.layers.N.mlp.up_proj
        blk.N.ffn_down model.layers.N.mlp.down_proj
        cls.output score
        """;
    boolean judges = name.endsWith("rerank");
    try (ModelFile golden = EncoderFixture.golden(name)) {
      Metadata shape = golden.metadata();
      write(
          """
          {"model_type": "qwen3", "architectures": ["%s"], "hidden_size": %d,
           "num_hidden_layers": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
           "head_dim": %d, "intermediate_size": %d, "max_position_embeddings": 256,
           "vocab_size": 320, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
           "tie_word_embeddings": false, "id2label": {"1": "no", "0": "yes"}}
          """
              .formatted(
                  judges ? "Qwen3ForSequenceClassification" : "Qwen3Model",
                  shape.integer("qwen3.embedding_length"),
                  shape.integer("qwen3.block_count"),
                  shape.integer("qwen3.attention.head_count"),
                  shape.integer("qwen3.attention.head_count_kv"),
                  shape.integer("qwen3.attention.key_length"),
                  shape.integer("qwen3.feed_forward_length")),
          EncoderFixture.named(golden, names));
      if (!judges) {
        pooling("pooling_mode_lasttoken");
      }
      try (ModelFile model = ModelFile.open(folder)) {
        assertSame(model, golden, Set.of("qwen3.rope.dimension_count"));
        assertThat(model.notes()).isEmpty();
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"bert\", | \"distilbert\", \"architectures\": [\"DistilBertForSequenceClassification\"],"
            + " | that judge texts are not supported",
        "\"gelu\" | \"relu\" | hidden_act: 'relu'; models like bert are supported with gelu",
        "\"bert\", | \"bert\", \"position_embedding_type\": \"relative_key\", |"
            + " position_embedding_type: 'relative_key'",
        "\"bert\", | \"bert\", \"position_embedding_type\": \"alibi\", |"
            + " feed_forward_type: 'original'",
        "\"bert\", | \"mpnet\", | 'mpnet' is not supported; supported are",
        "\"bert\", | \"roberta\", \"pad_token_id\": 63, |"
            + " 64 rows, of which no token has the first 64",
      })
  void whatIsNotKnownIsRefused(String from, String to, String message) throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      String config = BERT_CONFIG.formatted(160);
      assertThat(config).contains(from);
      write(config.replace(from, to), EncoderFixture.named(golden, BERT));
      refused(message);
    }
  }

  @Test
  void modulesThatAreNotKnownAreRefused() throws IOException {
    try (ModelFile golden = EncoderFixture.golden("bert")) {
      Map<String, Tensor> tensors = EncoderFixture.named(golden, BERT);
      write(BERT_CONFIG.formatted(160), tensors);
      pooling("pooling_mode_weightedmean_tokens");
      refused("[pooling_mode_weightedmean_tokens]; one alone is supported of");
      Path modules = folder.resolve("modules.json");
      Files.writeString(modules, Files.readString(modules).replace("models.Pooling", "models.CNN"));
      refused("'sentence_transformers.models.CNN'; supported are");
      Files.delete(modules);
      Files.delete(folder.resolve("1_Pooling/config.json"));
      tensors.put(
          "encoder.layer.0.attention.self.layer_norm_q.weight", tensors.values().iterator().next());
      write(BERT_CONFIG.formatted(160), tensors);
      refused("no tensor of this name is known in an encoder like bert");
    }
  }

  private void refused(String message) {
    assertThatThrownBy(() -> ModelFile.open(folder).close())
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(message);
  }
}
