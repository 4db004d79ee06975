package dev.knapsack.text.answer;

/** The way in which a model is to write calls, of those that are read. */
public enum CallForm {
  /** {@code <|tool_call>call:name{key:value}<tool_call|>}. */
  GEMMA,
  /** JSON between {@code <tool_call>} and {@code </tool_call>}: Hermes, Qwen. */
  HERMES,
  /** {@code <function=name>} with a tag a parameter. */
  QWEN_CODER,
  /** A name, and tags for keys and values. */
  GLM,
  /** {@code [TOOL_CALLS]name[ARGS]} and the arguments. */
  MISTRAL,
  /** {@code [TOOL_CALLS]} and a list. */
  MISTRAL_LIST,
  /** A name, a separator, and the arguments. */
  DEEPSEEK,
  /** The same with the arguments in a block of code. */
  DEEPSEEK_FENCED,
  /** {@code <|tool_call|>} and a list. */
  GRANITE,
  /** {@code [name(key=value)]}, as Python writes calls. */
  LFM,
  /** {@code Action:} and a list in a block of code. */
  COMMAND,
  /** An object of JSON that is all of the answer. */
  LLAMA,
  /** A message to a recipient. */
  HARMONY;

  /** The form that a template shows, of those that begin with one sign. */
  static CallForm of(String sign, String template) {
    return switch (sign) {
      case "<|tool_call>call:" -> GEMMA;
      case "<tool_call>" ->
          template.contains("<function=")
              ? QWEN_CODER
              : template.contains("<arg_key>") ? GLM : HERMES;
      case "[TOOL_CALLS]" -> template.contains("[ARGS]") ? MISTRAL : MISTRAL_LIST;
      case "<｜tool▁calls▁begin｜>" -> template.contains("```json") ? DEEPSEEK_FENCED : DEEPSEEK;
      case "<|tool_call|>" -> GRANITE;
      case "<|tool_list_start|>" -> LFM;
      case "\"tool_name\": " -> COMMAND;
      case "\"parameters\": dictionary" -> LLAMA;
      default -> throw new IllegalArgumentException("No form of calls has the sign " + sign);
    };
  }
}
