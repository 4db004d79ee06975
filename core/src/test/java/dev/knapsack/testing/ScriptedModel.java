package dev.knapsack.testing;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.ByteAlphabet;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * A real model whose weights are a script: asked this, it says that.
 *
 * <p>Its chat template ends a prompt with a token for the line that the last message has the cue
 * of. That line's answer is cut into tokens that nothing else has in it, and after each of them the
 * model is all but sure of the next. Of answers that can be given in several ways it takes the
 * first, unless a constraint does not let it. Where a constraint writes a text by itself, in the
 * tokens of single bytes, the model goes on behind the last byte, in the line that its one head of
 * attention still sees. All else is as with any model: the file, the plan, sampling, constraints,
 * and reading reasoning and calls out of what it wrote.
 */
public final class ScriptedModel {
  /** A line: what the last message must have in it, and what is said then. */
  public record Line(String cue, String... answers) {}

  public static final String NAME = "scripted";

  private static final int HEADS = 8;
  private static final int HEAD = 64;
  private static final int WIDTH = HEADS * HEAD;
  private static final int CONTEXT = 4096;

  /** A place of a token's vector that is 1 for all of them. */
  private static final int ONE = WIDTH - 1;

  /** A place that is 1 for the tokens of lines. */
  private static final int IS_LINE = WIDTH - 2;

  /** A place that is 1 for the tokens behind which an answer ends. */
  private static final int LAST = WIDTH - 3;

  private static final int MOST_LINES = 28;

  /** Places of which one is 1, for the token of a line. */
  private static final int LINE = LAST - MOST_LINES;

  /** Places of which attention sets one, for the line that was asked for. */
  private static final int ASKED = LINE - MOST_LINES;

  /** A logit of the token that is next; those of others stay within half of it. */
  private static final float SURE = 64;

  /** What the line that was asked for adds to the logits of its tokens. */
  private static final float IN_LINE = 32;

  /** What makes attention all but sure, times itself. */
  private static final float LOUD = 24;

  /** A token after another. */
  private record Step(int from, int to, float sure) {}

  private final List<String> tokens = new ArrayList<>();
  private final List<Integer> types = new ArrayList<>();
  private final Set<String> used = new HashSet<>();
  private final Set<Step> steps = new LinkedHashSet<>();

  /** The line of each token that a line alone has. */
  private final Map<Integer, Integer> lines = new HashMap<>();

  /** Tokens behind which an answer ends. */
  private final Set<Integer> last = new HashSet<>();

  private final List<Line> script;
  private final int[] cues;
  private final int end;

  private ScriptedModel(List<Line> script) {
    if (script.size() > MOST_LINES) {
      throw new IllegalArgumentException(
          "A script has %d lines at the most, not %d".formatted(MOST_LINES, script.size()));
    }
    this.script = script;
    this.cues = new int[script.size()];
    for (int b = 0; b < 256; b++) {
      token(String.valueOf(ByteAlphabet.character(b)), 1);
    }
    token("<|im_start|>", 3);
    end = token("<|im_end|>", 3);
    for (int line = 0; line < cues.length; line++) {
      cues[line] = token("<|line-%d|>".formatted(line), 3);
      float sure = SURE;
      for (String answer : script.get(line).answers()) {
        learn(line, answer, sure);
        sure *= 0.7f;
      }
    }
  }

  private void learn(int line, String answer, float sure) {
    int[] at = new int[answer.length()]; // tokens by the place where they begin
    int from = 0;
    int before = cues[line];
    for (String piece : cut(answer, 0)) {
      at[from] = piece(line, piece);
      steps.add(new Step(before, at[from], from == 0 ? sure : SURE));
      before = at[from];
      from += piece.length();
    }
    last.add(before);
    for (int i = answer.length() - 1; i > 0; i--) {
      if (at[i] == 0) {
        int until = i + 1;
        while (until < answer.length()
            && (at[until] == 0 || until == i + 1 || used.contains(answer.substring(i, until)))) {
          until++;
        }
        String piece = answer.substring(i, until);
        at[i] = piece.length() > 1 && used.add(piece) ? piece(line, piece) : piece.charAt(0);
        int behind = at[i] < 256 ? i + 1 : until;
        if (behind == answer.length()) {
          last.add(at[i]);
        } else {
          steps.add(new Step(at[i], at[behind], SURE));
        }
      }
      // The later one of two places behind the same byte, if both can be gone on from.
      steps.add(new Step(answer.charAt(i - 1), at[i], SURE * (1 + 0.3f * i / answer.length())));
    }
  }

  private int piece(int line, String text) {
    int token = token(alphabet(text), 1);
    lines.put(token, line);
    return token;
  }

  /** The call of a tool, as an answer has it. */
  public static String call(String name, String arguments) {
    return "<tool_call>\n{\"name\": \"%s\", \"arguments\": %s}\n</tool_call>"
        .formatted(name, arguments);
  }

  /** Opens a model of its own, which closing it ends. */
  public static Knapsack open(Path folder, List<Line> script, Options options) {
    return Knapsack.open(write(folder, script), new Host(Budget.of("256MiB")), options);
  }

  private int token(String text, int type) {
    tokens.add(text);
    types.add(type);
    return tokens.size() - 1;
  }

  private static String alphabet(String text) {
    StringBuilder written = new StringBuilder();
    text.chars().forEach(c -> written.append(ByteAlphabet.character(c)));
    return written.toString();
  }

  /** Pieces of an answer from a place on, none of which is one already; null if there are none. */
  private List<String> cut(String answer, int from) {
    if (from == answer.length()) {
      return List.of();
    }
    for (int length = 2; length <= answer.length() - from; length++) {
      String piece = answer.substring(from, from + length);
      if (used.add(piece)) {
        List<String> rest = cut(answer, from + length);
        if (rest != null) {
          List<String> all = new ArrayList<>(List.of(piece));
          all.addAll(rest);
          return all;
        }
        used.remove(piece);
      }
    }
    return null;
  }

  private String template() {
    StringBuilder template =
        new StringBuilder(
            """
            {%- if tools %}<|im_start|>system
            Call tools as <tool_call>
            {"name": ..., "arguments": ...}
            </tool_call>: {{ tools | tojson }}<|im_end|>
            {% endif %}
            {%- for m in messages %}<|im_start|>{{ m.role }}
            {% if m.content %}{{ m.content }}{% endif %}
            {%- for c in m.tool_calls or [] %}<tool_call>
            {"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
            </tool_call>{% endfor %}<|im_end|>
            {% endfor %}
            {#- A model that thinks: <think></think> #}
            {%- if add_generation_prompt %}<|im_start|>assistant
            {% set last = messages[-1].content | string %}
            """);
    for (int i = 0; i < script.size(); i++) {
      template.append(
          "{%%- %s \"%s\" in last %%}<|line-%d|>"
              .formatted(i == 0 ? "if" : "elif", script.get(i).cue(), i));
    }
    return template.append("{% endif %}{% endif %}").toString();
  }

  private Metadata header(Path target) {
    return new MetadataBuilder()
        .string("general.architecture", "llama")
        .string("general.name", NAME)
        .integer("llama.block_count", 1)
        .integer("llama.embedding_length", WIDTH)
        .integer("llama.feed_forward_length", WIDTH)
        .integer("llama.context_length", CONTEXT)
        .integer("llama.attention.head_count", HEADS)
        .integer("llama.attention.head_count_kv", HEADS)
        .real("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .real("llama.rope.freq_base", 1e9)
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", tokens)
        .integers("tokenizer.ggml.token_type", types.stream().mapToInt(Integer::intValue).toArray())
        .strings("tokenizer.ggml.merges", List.of())
        .integer("tokenizer.ggml.eos_token_id", end)
        .string("tokenizer.chat_template", template())
        .build(target);
  }

  /** Writes the model's file into a folder. */
  public static Path write(Path folder, List<Line> script) {
    Path target = folder.resolve("scripted.gguf");
    ScriptedModel model = new ScriptedModel(script);
    int size = model.tokens.size();
    float[][] embedding = model.embedding();
    float[][] output = new float[size][WIDTH];
    for (Step step : model.steps) {
      for (int i = 0; i < ASKED; i++) {
        output[step.to()][i] += step.sure() / ASKED * embedding[step.from()][i];
      }
    }
    output[model.end][LAST] = SURE + IN_LINE;
    model.lines.forEach((token, line) -> output[token][ASKED + line] = IN_LINE);
    float[][] query = new float[WIDTH][WIDTH];
    float[][] key = new float[WIDTH][WIDTH];
    // The places that positions turn the least.
    query[HEAD - 1][ONE] = LOUD;
    key[HEAD - 1][IS_LINE] = LOUD;
    float[][] value = new float[WIDTH][WIDTH];
    float[][] attended = new float[WIDTH][WIDTH];
    for (int line = 0; line < MOST_LINES; line++) {
      value[line][LINE + line] = 1;
      attended[ASKED + line][line] = 1;
    }
    float[][] none = new float[WIDTH][WIDTH];
    Map<String, float[][]> weights = new LinkedHashMap<>();
    weights.put("token_embd", embedding);
    weights.put("blk.0.attn_norm", ones());
    weights.put("blk.0.attn_q", query);
    weights.put("blk.0.attn_k", key);
    weights.put("blk.0.attn_v", value);
    weights.put("blk.0.attn_output", attended);
    weights.put("blk.0.ffn_norm", ones());
    weights.put("blk.0.ffn_gate", none);
    weights.put("blk.0.ffn_up", none);
    weights.put("blk.0.ffn_down", none);
    weights.put("output_norm", ones());
    weights.put("output", output);
    Map<TensorInfo, float[][]> tensors = new LinkedHashMap<>();
    weights.forEach((name, rows) -> tensors.put(tensor(name + ".weight", rows.length), rows));
    try (GgufWriter writer = GgufWriter.create(target, model.header(target), tensors.keySet())) {
      tensors.forEach((tensor, rows) -> {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.toIntExact(tensor.bytes())]);
        for (int row = 0; row < rows.length; row++) {
          Formats.F32.encode(
              MemorySegment.ofArray(rows[row]), 0, bytes, (long) row * WIDTH * Float.BYTES, WIDTH);
        }
        writer.write(tensor, bytes);
      });
      writer.finish();
    }
    return target;
  }

  /** Vectors of tokens, random but for a few places. */
  private float[][] embedding() {
    SplittableRandom random = new SplittableRandom(1);
    float[][] vectors = new float[tokens.size()][WIDTH];
    for (float[] vector : vectors) {
      for (int i = 0; i < ASKED; i++) {
        vector[i] = random.nextBoolean() ? 1 : -1;
      }
      vector[ONE] = 1;
    }
    last.forEach(token -> vectors[token][LAST] = 1);
    for (int line = 0; line < cues.length; line++) {
      vectors[cues[line]][IS_LINE] = 1;
      vectors[cues[line]][LINE + line] = 1;
    }
    return vectors;
  }

  private static float[][] ones() {
    float[] row = new float[WIDTH];
    Arrays.fill(row, 1);
    return new float[][] {row};
  }

  private static TensorInfo tensor(String name, int rows) {
    return new TensorInfo(
        name, Formats.F32, rows == 1 ? List.of((long) WIDTH) : List.of((long) WIDTH, (long) rows));
  }
}
