package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.message.Tool;
import dev.knapsack.text.answer.CallForm;
import java.util.List;
import java.util.function.Function;

/**
 * Calls of tools as terms, in the form in which a model's template writes them: a name among the
 * tools', and arguments that its schema describes.
 */
record Calls(Terms terms, Marks marks, CallForm form) {
  /**
   * One call or more.
   *
   * @param schemas whether arguments are held to the schemas of all tools, or of strict ones alone
   * @param parallel whether there may be more than one
   */
  Term of(List<Tool> tools, boolean schemas, boolean parallel) {
    return switch (form) {
      case GEMMA -> joined(tools, tool -> gemma(tool), "", parallel);
      case HERMES ->
          joined(
              tools,
              tool ->
                  terms.sequence(
                      marks.of("<tool_call>"),
                      terms.text("\n"),
                      json(tool, "{\"name\": \"", "\", \"arguments\": ", schemas, "}\n"),
                      marks.of("</tool_call>")),
              "\n",
              parallel);
      case QWEN_CODER -> joined(tools, this::tagged, "\n", parallel);
      case GLM -> joined(tools, this::paired, "\n", parallel);
      case MISTRAL ->
          joined(
              tools,
              tool ->
                  terms.sequence(
                      marks.of("[TOOL_CALLS]"),
                      terms.text(tool.name()),
                      terms.repeat(terms.sequence(marks.of("[CALL_ID]"), identifier()), 0, 1),
                      marks.of("[ARGS]"),
                      arguments(tool, schemas)),
              "",
              parallel);
      case MISTRAL_LIST -> list(tools, "[TOOL_CALLS][", ", ", "]", schemas, parallel);
      case GRANITE -> list(tools, "<|tool_call|>[", ", ", "]", schemas, parallel);
      case DEEPSEEK -> deepSeek(tools, "", "<｜tool▁sep｜>", "", "", schemas, parallel);
      case DEEPSEEK_FENCED ->
          deepSeek(tools, "function<｜tool▁sep｜>", "\n```json\n", "\n```", "\n", schemas, parallel);
      case LFM ->
          terms.sequence(
              marks.of("<|tool_call_start|>"),
              terms.text("["),
              joined(tools, this::python, ", ", parallel),
              terms.text("]"),
              marks.of("<|tool_call_end|>"));
      case COMMAND ->
          terms.sequence(
              terms.text("Action:\n```json\n[\n"),
              joined(
                  tools,
                  tool ->
                      json(
                          tool,
                          "    {\n        \"tool_name\": \"",
                          "\",\n        \"parameters\": ",
                          schemas,
                          "\n    }"),
                  ",\n",
                  parallel),
              terms.text("\n]```"));
      case LLAMA ->
          joined(
              tools,
              tool -> json(tool, "{\"name\": \"", "\", \"parameters\": ", schemas, "}"),
              "; ",
              parallel);
      // The token behind it ends the answer.
      case HARMONY ->
          joined(
              tools,
              tool ->
                  terms.sequence(
                      marks.of("<|channel|>commentary to=functions."),
                      terms.text(tool.name()),
                      marks.of(" <|constrain|>json<|message|>"),
                      arguments(tool, schemas)),
              "",
              false);
    };
  }

  private Term joined(
      List<Tool> tools, Function<Tool, Term> call, String between, boolean parallel) {
    Term one = terms.choice(tools.stream().map(tool -> named(tool, call)).toList());
    return parallel
        ? terms.sequence(one, terms.repeat(terms.sequence(terms.text(between), one), 0, -1))
        : one;
  }

  /** The call of a tool; of what is wrong with it, the tool is the place. */
  private static Term named(Tool tool, Function<Tool, Term> call) {
    try {
      return call.apply(tool);
    } catch (ConstraintException e) {
      throw new ConstraintException("tool '" + tool.name() + "'", String.valueOf(e.getMessage()));
    }
  }

  private Term list(
      List<Tool> tools,
      String begin,
      String between,
      String end,
      boolean schemas,
      boolean parallel) {
    return terms.sequence(
        marks.of(begin),
        joined(
            tools,
            tool -> json(tool, "{\"name\": \"", "\", \"arguments\": ", schemas, "}"),
            between,
            parallel),
        terms.text(end));
  }

  private Term deepSeek(
      List<Tool> tools,
      String before,
      String open,
      String close,
      String between,
      boolean schemas,
      boolean parallel) {
    return terms.sequence(
        marks.of("<｜tool▁calls▁begin｜>"),
        joined(
            tools,
            tool ->
                terms.sequence(
                    marks.of("<｜tool▁call▁begin｜>" + before),
                    terms.text(tool.name()),
                    marks.of(open),
                    arguments(tool, schemas),
                    terms.text(close),
                    marks.of("<｜tool▁call▁end｜>")),
            between,
            parallel),
        marks.of("<｜tool▁calls▁end｜>"));
  }

  private Term json(Tool tool, String before, String between, boolean schemas, String behind) {
    return terms.sequence(
        terms.text(before),
        terms.text(tool.name()),
        terms.text(between),
        arguments(tool, schemas),
        terms.text(behind));
  }

  private Term arguments(Tool tool, boolean schemas) {
    return JsonSchemas.term(
        terms,
        schemas || tool.strict() ? Parameters.object(tool.parameters()) : "{\"type\": \"object\"}");
  }

  private Term identifier() {
    ByteSet letters =
        ByteSet.range('a', 'z').or(ByteSet.range('A', 'Z')).or(ByteSet.range('0', '9'));
    return terms.repeat(terms.bytes(letters), 9, 9);
  }

  // Arguments one by one

  private Term tagged(Tool tool) {
    Parameters parameters = new Parameters(terms, tool.parameters());
    return terms.sequence(
        marks.of("<tool_call>"),
        terms.text("\n<function=" + tool.name() + ">\n"),
        parameters.members(
            one ->
                terms.sequence(
                    terms.text("<parameter=" + one.name() + ">\n"),
                    one.bare(marks.without(List.of("</parameter>", "</function>", "</tool_call>"))),
                    terms.text("\n</parameter>\n")),
            ""),
        terms.text("</function>\n"),
        marks.of("</tool_call>"));
  }

  private Term paired(Tool tool) {
    Parameters parameters = new Parameters(terms, tool.parameters());
    return terms.sequence(
        marks.of("<tool_call>"),
        terms.text(tool.name() + "\n"),
        parameters.members(
            one ->
                terms.sequence(
                    marks.of("<arg_key>"),
                    terms.text(one.name()),
                    marks.of("</arg_key>"),
                    terms.text("\n"),
                    marks.of("<arg_value>"),
                    one.bare(marks.without(List.of("</arg_value>", "</tool_call>"))),
                    marks.of("</arg_value>"),
                    terms.text("\n")),
            ""),
        marks.of("</tool_call>"));
  }

  private Term python(Tool tool) {
    return terms.sequence(
        terms.text(tool.name() + "("),
        new Parameters(terms, tool.parameters())
            .members(one -> terms.sequence(terms.text(one.name() + "="), one.json()), ", "),
        terms.text(")"));
  }

  private Term gemma(Tool tool) {
    String quote = "<|\"|>";
    Term text =
        terms.sequence(
            marks.of(quote), marks.without(List.of(quote, "<tool_call|>")), marks.of(quote));
    return terms.sequence(
        marks.of("<|tool_call>"),
        terms.text("call:" + tool.name() + "{"),
        new Parameters(terms, tool.parameters())
            .members(
                one ->
                    terms.sequence(
                        terms.text(one.name() + ":"), one.isPlainText() ? text : one.json()),
                ","),
        terms.text("}"),
        marks.of("<tool_call|>"));
  }
}
