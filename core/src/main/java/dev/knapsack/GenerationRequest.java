package dev.knapsack;

import dev.knapsack.constraint.Language;
import dev.knapsack.engine.Request;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.plan.Plan;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A request for an answer: what it is an answer to, and how it is wanted. A value that {@code
 * with…} derives others from.
 */
public final class GenerationRequest {
  /** The beginning that a model goes on from. */
  public sealed interface Prompt {
    /** A conversation, as the model's template writes it; reasoning and calls are read back out. */
    record Talk(Conversation conversation) implements Prompt {}

    /**
     * A text that begins a sequence.
     *
     * @param parseSpecial read special tokens written in the text as such
     */
    record Text(String text, boolean parseSpecial) implements Prompt {}

    /** Tokens. */
    record Tokens(int... ids) implements Prompt {
      public Tokens {
        ids = ids.clone();
      }

      @Override
      public int[] ids() {
        return ids.clone();
      }
    }
  }

  private final Prompt prompt;

  /** The same for the engine, whose prompt is yet to be written. */
  private final Request wish;

  private final Form form;

  /**
   * The form of the answer that is wanted.
   *
   * @param parallel whether it may have several calls
   */
  record Form(Optional<Constraint> constraint, ToolChoice tools, boolean parallel) {}

  private GenerationRequest(Prompt prompt, Request wish, Form form) {
    this.prompt = prompt;
    this.wish = wish;
    this.form = form;
  }

  private static GenerationRequest of(Prompt prompt) {
    return new GenerationRequest(
        prompt, Request.of(0), new Form(Optional.empty(), ToolChoice.AUTO, true));
  }

  /** The answer to a conversation, with {@link Sampling#DEFAULT}, until the model ends it. */
  public static GenerationRequest of(Conversation conversation) {
    return of(new Prompt.Talk(conversation));
  }

  /** The continuation of a text, in which special tokens are plain text. */
  public static GenerationRequest ofText(String text) {
    return ofText(text, false);
  }

  /**
   * The continuation of a text.
   *
   * @param parseSpecial read special tokens written in the text as such
   */
  public static GenerationRequest ofText(String text, boolean parseSpecial) {
    return of(new Prompt.Text(text, parseSpecial));
  }

  /** The continuation of these tokens. */
  public static GenerationRequest ofTokens(int... tokens) {
    return of(new Prompt.Tokens(tokens));
  }

  public Prompt prompt() {
    return prompt;
  }

  /** Alternatives to each token whose log-probabilities are wanted; empty if none are. */
  public OptionalInt logProbabilities() {
    return wish.logProbabilities();
  }

  /** Tokens that the answer may have at the most; {@link Integer#MAX_VALUE} if nothing was said. */
  public int maxTokens() {
    return wish.maxTokens();
  }

  Form form() {
    return form;
  }

  /**
   * The request for the engine.
   *
   * @param language what the answer is held to, with all that is around its text
   */
  Request request(int[] tokens, Set<Integer> shown, Optional<Language> language) {
    Request request = wish.withPrompt(tokens).withShown(shown);
    return language.map(request::withConstraint).orElse(request);
  }

  private GenerationRequest with(Request changed) {
    return new GenerationRequest(prompt, changed, form);
  }

  private GenerationRequest with(Form changed) {
    return new GenerationRequest(prompt, wish, changed);
  }

  /**
   * With an answer of this form, whatever the model would rather write: all of its text, but for
   * reasoning, and calls of tools where it may call some.
   */
  public GenerationRequest withConstraint(Constraint value) {
    return with(new Form(Optional.of(value), form.tools, form.parallel));
  }

  /**
   * With an answer that {@link Generation#as} makes a value of this type: a record, a sealed
   * interface of records, or an enum. The answer is held to a JSON Schema in which a record is an
   * object with its components; those that are {@code Optional}, or have an annotation {@code
   * Nullable} that is kept at run time, may be left out. A sealed interface's value has a member
   * {@code type}, the simple name of its record. The prompt says nothing of that.
   *
   * @throws dev.knapsack.error.ConstraintException if the type has a part that no answer is read
   *     into; its place names the component, such as {@code Recipe.steps}
   */
  public GenerationRequest withAnswerType(Class<?> type) {
    return withConstraint(new Constraint.JsonSchema(new StructuredType(type).schema()));
  }

  /**
   * With this say of the model in whether it calls a tool of the conversation. A call that it must
   * make is held to the tool's schema, and so are all calls of {@linkplain
   * dev.knapsack.message.Tool#strict strict} tools.
   */
  public GenerationRequest withToolChoice(ToolChoice value) {
    return with(new Form(form.constraint, value, form.parallel));
  }

  /** With several calls in an answer, as usual, or one at the most where calls are constrained. */
  public GenerationRequest withParallelCalls(boolean value) {
    return with(new Form(form.constraint, form.tools, value));
  }

  /**
   * At most so many tokens, 1 or more. A model that denoises has so many masks before it, or as
   * many of them as fit; {@value dev.knapsack.generation.Denoising#USUAL_LENGTH} if nothing is
   * said.
   */
  public GenerationRequest withMaxTokens(int value) {
    return with(wish.withMaxTokens(value));
  }

  public GenerationRequest withSampling(Sampling value) {
    return with(wish.withSampling(value));
  }

  /** Ended before any of these texts. */
  public GenerationRequest withStops(String... value) {
    return with(wish.withStops(value));
  }

  /** With an answer that goes on when the model ends it. */
  public GenerationRequest withIgnoreEnd(boolean value) {
    return with(wish.withIgnoreEnd(value));
  }

  public GenerationRequest withOverflow(Overflow value) {
    return with(wish.withOverflow(value));
  }

  /** With log-probabilities in each {@link Event.Token}, and those of so many alternatives. */
  public GenerationRequest withLogProbabilities(int alternatives) {
    return with(wish.withLogProbabilities(alternatives));
  }

  /**
   * With a cache of its own: which tokens its sequence keeps, and in which formats, in place of
   * what the plan says. It must fit beside others in what the plan has for all sequences.
   */
  public GenerationRequest withCache(Plan.Cache value) {
    return with(wish.withCache(value));
  }

  /** Ended with {@link FinishReason#DEADLINE} when it takes longer than this. */
  public GenerationRequest withDeadline(Duration value) {
    return with(wish.withDeadline(value));
  }

  /**
   * Asked for by a tenant of this name, such as a user: tenants whose requests wait for a sequence
   * take turns, so that one with many requests does not keep another waiting. All that name none
   * are one tenant's.
   */
  public GenerationRequest withTenant(String name) {
    return with(wish.withTenant(name));
  }

  /**
   * As one of a tenant's requests that hold at most so many bytes of cache, with the beginnings of
   * prompts that are kept for the tenant. What would be more waits for the tenant's other answers
   * to end, whoever else is served meanwhile; so does not more than half of all that may wait. What
   * alone could be more, or cannot wait, is refused with a {@link
   * dev.knapsack.error.ShareExceededException}.
   */
  public GenerationRequest withShare(long bytes) {
    return with(wish.withShare(bytes));
  }

  /**
   * With this priority in place of 0: of the requests that wait for a sequence those with a higher
   * one go first, whoever asks. One that has its sequence is not interrupted.
   */
  public GenerationRequest withPriority(int value) {
    return with(wish.withPriority(value));
  }
}
