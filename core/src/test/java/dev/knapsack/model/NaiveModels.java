package dev.knapsack.model;

/** Models in miniature, each with what it takes to compute it the plain way. */
enum NaiveModels {
  LLAMA {
    @Override
    NaiveModel make() {
      NaiveModel naive = common(FixtureModel.llama(3), 8);
      naive.adjacentPairs = true;
      return naive;
    }
  },

  /** All of granite's factors. */
  GRANITE {
    @Override
    NaiveModel make() {
      FixtureModel model = base("granite", 8);
      model
          .key("embedding_scale", 3.0)
          .key("residual_scale", 0.4)
          .key("attention.scale", 0.5)
          .key("logit_scale", 2.5);
      for (int l = 0; l < 3; l++) {
        attention(model, l, 8, false);
        dense(model, l);
      }
      NaiveModel naive = common(model, 8);
      naive.adjacentPairs = true;
      naive.embeddingScale = 3;
      naive.residualScale = 0.4f;
      naive.attentionScale = 0.5;
      naive.logitScale = 1 / 2.5;
      return naive;
    }
  },

  /** Fused matrices, and a window in all layers. */
  PHI3 {
    @Override
    NaiveModel make() {
      FixtureModel model = base("phi3", 8).key("attention.sliding_window", 5L);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        model
            .norm(p + "attn_norm.weight", 32)
            .weights(p + "attn_qkv.weight", 32, 64)
            .weights(p + "attn_output.weight", 32, 32)
            .norm(p + "ffn_norm.weight", 32)
            .weights(p + "ffn_up.weight", 32, 96)
            .weights(p + "ffn_down.weight", 48, 32);
      }
      NaiveModel naive = common(model, 8);
      naive.window = l -> 5;
      return naive;
    }
  },

  /** Four norms, soft caps, a window in every second layer; heads larger than width / heads. */
  GEMMA2 {
    @Override
    NaiveModel make() {
      FixtureModel model =
          base("gemma2", 12)
              .key("attention.sliding_window", 4L)
              .key("attn_logit_softcapping", 2.0)
              .key("final_logit_softcapping", 3.0);
      for (int l = 0; l < 3; l++) {
        attention(model, l, 12, false);
        dense(model, l);
        model.norm("blk." + l + ".post_attention_norm.weight", 32);
        model.norm("blk." + l + ".post_ffw_norm.weight", 32);
      }
      NaiveModel naive = common(model, 12);
      naive.window = l -> l % 2 == 0 ? 4 : 0;
      naive.attentionCap = 2;
      naive.logitCap = 3;
      naive.embeddingScale = Math.sqrt(32);
      naive.activation = NaiveModel::gelu;
      return naive;
    }
  },

  /** Norms of results alone, and of all heads as one. */
  OLMO2 {
    @Override
    NaiveModel make() {
      FixtureModel model = base("olmo2", 8);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        attention(model, l, 8, false);
        dense(model, l);
        model.infos.remove(p + "attn_norm.weight");
        model.infos.remove(p + "ffn_norm.weight");
        model
            .norm(p + "attn_q_norm.weight", 32)
            .norm(p + "attn_k_norm.weight", 16)
            .norm(p + "post_attention_norm.weight", 32)
            .norm(p + "post_ffw_norm.weight", 32);
      }
      NaiveModel naive = common(model, 8);
      naive.normsAfterOnly = true;
      return naive;
    }
  },

  /** Norms per head after these are rotated. */
  HUNYUAN {
    @Override
    NaiveModel make() {
      FixtureModel model = base("hunyuan-dense", 8);
      for (int l = 0; l < 3; l++) {
        attention(model, l, 8, false);
        dense(model, l);
        model.norm("blk." + l + ".attn_q_norm.weight", 8);
        model.norm("blk." + l + ".attn_k_norm.weight", 8);
      }
      NaiveModel naive = common(model, 8);
      naive.normsRotated = true;
      return naive;
    }
  },

  /** Norms per head, and experts whose weights are made to sum to 1. */
  QWEN3_MOE {
    @Override
    NaiveModel make() {
      FixtureModel model = base("qwen3moe", 12);
      for (int l = 0; l < 3; l++) {
        attention(model, l, 12, false);
        experts(model, l, false);
        model.norm("blk." + l + ".attn_q_norm.weight", 12);
        model.norm("blk." + l + ".attn_k_norm.weight", 12);
        model.norm("blk." + l + ".ffn_norm.weight", 32);
      }
      NaiveModel naive = experts(common(model, 12));
      naive.normalise = true;
      return naive;
    }
  },

  /** Biases, experts whose weights stay as they are, and one for every token. */
  QWEN2_MOE {
    @Override
    NaiveModel make() {
      FixtureModel model = base("qwen2moe", 8).key("expert_shared_feed_forward_length", 40L);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        attention(model, l, 8, true);
        experts(model, l, false);
        model
            .norm(p + "ffn_norm.weight", 32)
            .weights(p + "ffn_gate_inp_shexp.weight", 32)
            .weights(p + "ffn_gate_shexp.weight", 32, 40)
            .weights(p + "ffn_up_shexp.weight", 32, 40)
            .weights(p + "ffn_down_shexp.weight", 40, 32);
      }
      return experts(common(model, 8));
    }
  },

  /** Sinks, biases everywhere, clamped gates, a softmax over the chosen. */
  GPT_OSS {
    @Override
    NaiveModel make() {
      FixtureModel model = base("gpt-oss", 8).key("attention.sliding_window", 6L);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        attention(model, l, 8, true);
        experts(model, l, true);
        model
            .bias(p + "attn_output.bias", 32)
            .bias(p + "attn_sinks.weight", 4)
            .bias(p + "ffn_gate_inp.bias", 6)
            .norm(p + "post_attention_norm.weight", 32);
      }
      NaiveModel naive = experts(common(model, 8));
      naive.window = l -> l % 2 == 0 ? 6 : 0;
      naive.softmaxLast = true;
      naive.clampedGate = true;
      return naive;
    }
  };

  abstract NaiveModel make();

  private static FixtureModel base(String architecture, int headSize) {
    return new FixtureModel(architecture, headSize)
        .key("block_count", 3L)
        .key("context_length", 128L)
        .key("embedding_length", 32L)
        .key("feed_forward_length", 48L)
        .key("attention.head_count", 4L)
        .key("attention.head_count_kv", 2L)
        .key("attention.key_length", (long) headSize)
        .key("attention.value_length", (long) headSize)
        .key("attention.layer_norm_rms_epsilon", 1e-5)
        .weights("token_embd.weight", 32, 40)
        .norm("output_norm.weight", 32);
  }

  private static void attention(FixtureModel model, int layer, int headSize, boolean biases) {
    String p = "blk." + layer + ".";
    model
        .norm(p + "attn_norm.weight", 32)
        .weights(p + "attn_q.weight", 32, 4L * headSize)
        .weights(p + "attn_k.weight", 32, 2L * headSize)
        .weights(p + "attn_v.weight", 32, 2L * headSize)
        .weights(p + "attn_output.weight", 4L * headSize, 32);
    if (biases) {
      model
          .bias(p + "attn_q.bias", 4L * headSize)
          .bias(p + "attn_k.bias", 2L * headSize)
          .bias(p + "attn_v.bias", 2L * headSize);
    }
  }

  private static void dense(FixtureModel model, int layer) {
    String p = "blk." + layer + ".";
    model
        .norm(p + "ffn_norm.weight", 32)
        .weights(p + "ffn_gate.weight", 32, 48)
        .weights(p + "ffn_up.weight", 32, 48)
        .weights(p + "ffn_down.weight", 48, 32);
  }

  private static void experts(FixtureModel model, int layer, boolean biases) {
    String p = "blk." + layer + ".";
    model
        .key("expert_count", 6L)
        .key("expert_used_count", 3L)
        .key("expert_feed_forward_length", 24L)
        .weights(p + "ffn_gate_inp.weight", 32, 6)
        .weights(p + "ffn_gate_exps.weight", 32, 24, 6)
        .weights(p + "ffn_up_exps.weight", 32, 24, 6)
        .weights(p + "ffn_down_exps.weight", 24, 32, 6);
    if (biases) {
      model
          .tensor(p + "ffn_gate_exps.bias", dev.knapsack.tensor.Formats.F32, 0, 5, 24, 6)
          .tensor(p + "ffn_up_exps.bias", dev.knapsack.tensor.Formats.F32, 0, 5, 24, 6)
          .bias(p + "ffn_down_exps.bias", 32, 6);
    }
  }

  private static NaiveModel common(FixtureModel model, int headSize) {
    NaiveModel naive = new NaiveModel(model);
    naive.layers = 3;
    naive.heads = 4;
    naive.kvHeads = 2;
    naive.headSize = headSize;
    naive.attentionScale = 1 / Math.sqrt(headSize);
    return naive;
  }

  private static NaiveModel experts(NaiveModel naive) {
    naive.experts = 6;
    naive.used = 3;
    return naive;
  }
}
