package dev.knapsack.text.answer;

import dev.knapsack.message.Tool;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The form in which a model writes reasoning and calls into its answers, as its chat template shows
 * it: a template writes past answers as the model does.
 *
 * <p>Sources: the templates and model cards of the families; {@code common/chat.cpp} of llama.cpp.
 */
public final class AnswerForm {
  /**
   * One way to write reasoning.
   *
   * @param sign what a template has whose model writes it so
   * @param tokens of the marks that a vocabulary may have as control tokens
   */
  private record Reasoning(String sign, String open, String close, List<String> tokens) {}

  /**
   * One way to write calls.
   *
   * @param sign what a template has whose model writes them so
   * @param marks what stands before a call, and how it goes on; nothing where a call may be a whole
   *     answer without a mark
   * @param dropped marks around calls that say nothing
   * @param tokens of the marks that a vocabulary may have as control tokens
   */
  private record Calls(
      String sign, Map<String, CallSyntax> marks, List<String> dropped, List<String> tokens) {
    Calls(String sign, String mark, CallSyntax syntax, String... tokens) {
      this(sign, Map.of(mark, syntax), List.of(), List.of(tokens));
    }
  }

  private static final String HARMONY = "<|channel|>analysis";

  private static final List<Reasoning> REASONING =
      List.of(
          new Reasoning(
              "<|channel>thought",
              "<|channel>thought",
              "<channel|>",
              List.of("<|channel>", "<channel|>")),
          new Reasoning("[THINK]", "[THINK]", "[/THINK]", List.of("[THINK]", "[/THINK]")),
          new Reasoning(
              "<|START_THINKING|>",
              "<|START_THINKING|>",
              "<|END_THINKING|>",
              List.of("<|START_THINKING|>", "<|END_THINKING|>")),
          new Reasoning("think>", "<think>", "</think>", List.of("<think>", "</think>")));

  /** The first whose sign a template has is its model's. */
  private static final List<Calls> CALLS =
      List.of(
          new Calls(
              "<|tool_call>call:",
              Map.of("<|tool_call>", new LiteralCalls("<tool_call|>")),
              List.of("<|tool_response>"),
              List.of("<|tool_call>", "<tool_call|>", "<|tool_response>", Literals.QUOTE)),
          new Calls("<tool_call>", "<tool_call>", new TaggedCalls(), "<tool_call>", "</tool_call>"),
          new Calls(
              "[TOOL_CALLS]",
              "[TOOL_CALLS]",
              new JsonCalls("[ARGS]", "", false),
              "[TOOL_CALLS]",
              "[ARGS]",
              "[CALL_ID]"),
          new Calls(
              "<｜tool▁calls▁begin｜>",
              Map.of(
                  "<｜tool▁call▁begin｜>", new JsonCalls("<｜tool▁sep｜>", "<｜tool▁call▁end｜>", false)),
              List.of("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
              List.of(
                  "<｜tool▁calls▁begin｜>",
                  "<｜tool▁calls▁end｜>",
                  "<｜tool▁call▁begin｜>",
                  "<｜tool▁sep｜>",
                  "<｜tool▁call▁end｜>")),
          new Calls(
              "<|tool_call|>", "<|tool_call|>", new JsonCalls("", "", false), "<|tool_call|>"),
          new Calls(
              "<|tool_list_start|>",
              "<|tool_call_start|>",
              new LiteralCalls("<|tool_call_end|>"),
              "<|tool_call_start|>",
              "<|tool_call_end|>"),
          new Calls("\"tool_name\": ", "Action:", new JsonCalls("```json", "```", false)),
          new Calls(
              "\"parameters\": dictionary",
              Map.of("", new JsonCalls("", "", true), "<|python_tag|>", new PythonTag()),
              List.of(),
              List.of("<|python_tag|>")));

  private final boolean harmony;
  private final Optional<Reasoning> reasoning;
  private final Optional<Calls> calls;
  private final String template;

  private AnswerForm(
      String template, boolean harmony, Optional<Reasoning> reasoning, Optional<Calls> calls) {
    this.template = template;
    this.harmony = harmony;
    this.reasoning = reasoning;
    this.calls = calls;
  }

  /** The form of the model whose template this is. */
  public static AnswerForm of(String template) {
    return new AnswerForm(
        template,
        template.contains(HARMONY),
        REASONING.stream().filter(r -> template.contains(r.sign)).findFirst(),
        CALLS.stream().filter(c -> template.contains(c.sign)).findFirst());
  }

  /** Says whether reasoning is told from what is said. */
  public boolean hasReasoning() {
    return harmony || reasoning.isPresent();
  }

  /** Says whether calls of tools are told from what is said. */
  public boolean hasCalls() {
    return harmony || calls.isPresent();
  }

  /** Texts of the control tokens that an answer's text must show for {@link #reader}. */
  public Set<String> tokens(List<Tool> tools) {
    Set<String> tokens = new LinkedHashSet<>(harmony ? HarmonyReader.TOKENS : List.of());
    reasoning.ifPresent(r -> tokens.addAll(r.tokens));
    calls.filter(_ -> !tools.isEmpty()).ifPresent(c -> tokens.addAll(c.tokens));
    return tokens;
  }

  /**
   * The form of an answer, for who is to say what it may be.
   *
   * @param prompt what the model goes on with: reasoning may begin at its end
   */
  public AnswerOutline outline(List<Tool> tools, String prompt) {
    List<String> tokens = List.copyOf(tokens(tools));
    if (harmony) {
      return new AnswerOutline(
          "", "", false, Optional.of(CallForm.HARMONY), HarmonyReader.TOKENS, tokens);
    }
    Optional<Calls> called = calls.filter(_ -> !tools.isEmpty());
    List<String> marks =
        called.stream()
            .flatMap(c -> Stream.concat(c.marks.keySet().stream(), c.dropped.stream()))
            .filter(mark -> !mark.isEmpty())
            .toList();
    return new AnswerOutline(
        reasoning.map(Reasoning::open).orElse(""),
        reasoning.map(Reasoning::close).orElse(""),
        begins(prompt),
        called.map(c -> CallForm.of(c.sign, template)),
        marks,
        tokens);
  }

  private boolean begins(String prompt) {
    return reasoning.filter(r -> prompt.stripTrailing().endsWith(r.open)).isPresent();
  }

  /**
   * A reader of one answer.
   *
   * @param tools those that the model may call; without any, nothing is read as a call
   * @param prompt what the model goes on with: reasoning may begin at its end
   * @param callsBefore calls that the conversation has before: those of the answer are numbered on
   */
  public AnswerReader reader(List<Tool> tools, String prompt, int callsBefore) {
    PartWriter parts = new PartWriter(callsBefore);
    if (harmony) {
      return new HarmonyReader(tools, parts);
    }
    Optional<Calls> called = calls.filter(_ -> !tools.isEmpty());
    String open = reasoning.map(Reasoning::open).orElse("");
    return new MarkReader(
        open,
        reasoning.map(Reasoning::close).orElse(""),
        begins(prompt),
        called.map(c -> new LinkedHashMap<>(c.marks)).orElseGet(LinkedHashMap::new),
        called.map(c -> Set.copyOf(c.dropped)).orElse(Set.of()),
        new Schemas(tools),
        parts);
  }
}
