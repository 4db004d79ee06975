package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import dev.knapsack.file.TensorSource.Factor;
import java.util.List;

/**
 * The factors that a {@code config.json} has on what a model computes, as factors on matrices:
 * GGUF's models like Falcon H1 have them there.
 */
final class HubMultipliers {
  private final HubConfig config;
  private final boolean any;

  HubMultipliers(HubConfig config) {
    this.config = config;
    this.any = config.family().defaults().containsKey("ssm_multipliers");
  }

  /** Says whether the output projection has another factor than the embedding. */
  boolean tellOutputApart() {
    return any && number("lm_head_multiplier") != number("embedding_multiplier");
  }

  /** The factors on a matrix, in the order of its rows; empty for none. */
  List<Factor> of(String suffix, long rows) {
    if (!any) {
      return List.of();
    }
    return switch (suffix) {
      case "token_embd.weight" -> all(rows, number("embedding_multiplier"));
      case "output.weight" -> all(rows, number("lm_head_multiplier"));
      case "attn_q.weight", "attn_v.weight" -> all(rows, number("attention_in_multiplier"));
      case "attn_k.weight" ->
          all(rows, number("attention_in_multiplier") * number("key_multiplier"));
      case "attn_output.weight" -> all(rows, number("attention_out_multiplier"));
      case "ffn_gate.weight" -> all(rows, number("mlp_multipliers", 0));
      case "ffn_down.weight" -> all(rows, number("mlp_multipliers", 1));
      case "ssm_out.weight" -> all(rows, number("ssm_out_multiplier"));
      case "ssm_in.weight" -> {
        long inner = config.required("mamba_d_ssm");
        long state = config.required("mamba_n_groups") * config.required("mamba_d_state");
        yield List.of(
            projected(0, inner),
            projected(1, inner),
            projected(2, state),
            projected(3, state),
            projected(4, config.required("mamba_n_heads")));
      }
      default -> List.of();
    };
  }

  private Factor projected(int part, long rows) {
    return new Factor(rows, number("ssm_in_multiplier") * number("ssm_multipliers", part));
  }

  private static List<Factor> all(long rows, double factor) {
    return factor == 1 ? List.of() : List.of(new Factor(rows, factor));
  }

  private double number(String key) {
    return config.real(key).orElse(1.0);
  }

  private double number(String key, int place) {
    JsonElement value = config.value(key);
    if (!(value instanceof JsonArray numbers) || numbers.size() <= place) {
      throw config.wrong(
          key, "must hold at least %d numbers, and is %s".formatted(place + 1, value));
    }
    return config.real(key, numbers.get(place));
  }
}
