package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.text.answer.AnswerOutline;
import dev.knapsack.text.answer.CallForm;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToIntFunction;

/**
 * All that an answer to a conversation may be: reasoning, as the model likes, until its mark closes
 * it; then text that a constraint lets through, or any; and calls of tools.
 *
 * <p>Text has no control tokens, and no marks spelled out: what a constraint says is text is read
 * as that.
 */
public final class AnswerLanguage {
  /** Blanks between reasoning and what follows it. */
  private static final int GAP = 4;

  /**
   * The tools of a conversation, and what the model is to do with them.
   *
   * @param parallel whether an answer may have several calls
   */
  public record Calling(List<Tool> tools, ToolChoice choice, boolean parallel) {
    public Calling {
      tools = List.copyOf(tools);
    }

    private boolean required() {
      return choice instanceof ToolChoice.Required || choice instanceof ToolChoice.Named;
    }

    private boolean strict() {
      return !(choice instanceof ToolChoice.None) && tools.stream().anyMatch(Tool::strict);
    }

    /** The tools that may be called. */
    private List<Tool> callable() {
      return switch (choice) {
        case ToolChoice.Auto(), ToolChoice.Required() -> tools;
        case ToolChoice.None() -> List.of();
        case ToolChoice.Named(String name) ->
            tools.stream().filter(tool -> tool.name().equals(name)).toList();
      };
    }
  }

  private final Terms terms;
  private final AnswerOutline outline;
  private final Marks marks;

  private AnswerLanguage(Terms terms, AnswerOutline outline, ToIntFunction<String> control) {
    this.terms = terms;
    this.outline = outline;
    this.marks = new Marks(terms, outline.tokens(), control);
  }

  /**
   * The language of an answer; empty where it may be anything.
   *
   * @param control the control token that the vocabulary writes so, or -1
   * @throws ConstraintException if the answer cannot be held to what is wanted
   */
  public static Optional<Language> of(
      Optional<Constraint> constraint,
      Calling calling,
      AnswerOutline outline,
      ToIntFunction<String> control) {
    if (calling.required() && calling.callable().isEmpty()) {
      throw new ConstraintException(
          "tool_choice",
          calling.choice instanceof ToolChoice.Named(String name)
              ? "'%s' is none of the %d tools; name one of them."
                  .formatted(name, calling.tools.size())
              : "a call is required, and there are no tools; give one at the least.");
    }
    // Where no form is known nothing is read as a call, so that every call is as it should be.
    boolean held = calling.required() || (calling.strict() && outline.calls().isPresent());
    if (calling.required() && outline.calls().isEmpty()) {
      throw new ConstraintException(
          "tool_choice",
          "this model's template shows no form of calls that is known, so that none can be held to"
              + " it; leave calls to the model.");
    }
    boolean kept =
        calling.choice instanceof ToolChoice.None
            && !calling.tools.isEmpty()
            && outline.calls().isPresent();
    if (constraint.isEmpty() && !held && !kept) {
      return Optional.empty();
    }
    Terms terms = new Terms();
    AnswerLanguage language = new AnswerLanguage(terms, outline, control);
    return Optional.of(new Language(terms, language.answer(constraint, calling)));
  }

  private Term answer(Optional<Constraint> constraint, Calling calling) {
    Term text = constraint.map(c -> Language.term(terms, c)).orElseGet(this::free);
    Optional<Term> calls =
        outline
            .calls()
            .filter(_ -> !calling.callable().isEmpty())
            .map(form ->
                new Calls(terms, marks, form)
                    .of(calling.callable(), calling.required(), calling.parallel));
    if (outline.calls().filter(CallForm.HARMONY::equals).isPresent()) {
      return harmony(calling.required() ? terms.never() : text, calls.orElse(terms.never()));
    }
    Term rest =
        calls
            .map(call ->
                calling.required()
                    ? call
                    : constraint.isPresent()
                        ? terms.choice(text, call)
                        : terms.choice(text, terms.sequence(before(), call)))
            .orElse(text);
    return reasoned(rest);
  }

  /** The text that may stand before calls. */
  private Term before() {
    return outline.calls().filter(CallForm.LLAMA::equals).isPresent() ? terms.empty() : free();
  }

  /** Reasoning, where the model writes some, and what follows. */
  private Term reasoned(Term rest) {
    if (outline.open().isEmpty()) {
      return rest;
    }
    Term gap = terms.repeat(terms.bytes(ByteSet.of(' ', '\n')), 0, GAP);
    Term behind =
        terms.sequence(
            marks.without(List.of(outline.close())), marks.of(outline.close()), gap, rest);
    return outline.begun()
        ? behind
        : terms.choice(rest, terms.sequence(marks.of(outline.open()), behind));
  }

  /** Any text in which nothing is read as a call, or as reasoning. */
  private Term free() {
    List<String> excluded = new ArrayList<>(outline.marks());
    if (!outline.open().isEmpty()) {
      excluded.add(outline.open());
    }
    Term text = marks.without(excluded);
    if (outline.calls().filter(CallForm.LLAMA::equals).isEmpty()) {
      return text;
    }
    // What begins so is a call, without a mark.
    Term blanks = terms.repeat(terms.bytes(ByteSet.of(' ', '\n', '\t', '\r', ';')), 0, -1);
    Term any = terms.repeat(terms.character(CodePoints.ALL), 0, -1);
    return terms.except(text, terms.sequence(blanks, terms.text("{"), any));
  }

  /**
   * Messages to channels: of reasoning and of what is said before calls, and at last the answer.
   */
  private Term harmony(Term text, Term calls) {
    Term free = marks.without(outline.marks());
    Term aside =
        terms.sequence(
            marks.of("<|channel|>"),
            terms.choice(terms.text("analysis"), terms.text("commentary")),
            marks.of("<|message|>"),
            free,
            marks.of("<|end|><|start|>assistant"));
    Term answer = terms.sequence(marks.of("<|channel|>final<|message|>"), text);
    return terms.sequence(terms.repeat(aside, 0, -1), terms.choice(answer, calls));
  }
}
