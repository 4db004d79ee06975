package dev.knapsack;

import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Session;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import dev.knapsack.message.ToolChoice;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with a model: what was said is written by the model's own template, and each turn
 * computes only what is new.
 *
 * <p>For one thread at a time. What {@link #send} throws leaves the conversation as it was.
 */
public final class Chat implements AutoCloseable {
  private final Knapsack knapsack;
  private final Session session;
  private Conversation said;

  /** The answer to the last message, which is said when the next is sent. */
  private @Nullable Generation answer;

  Chat(Knapsack knapsack, Conversation said) {
    this.knapsack = knapsack;
    this.session = knapsack.engine().session();
    this.said = said;
  }

  /** Says something; the answer is written as its text is taken. */
  public Generation send(String text) {
    return send(text, request -> request);
  }

  /**
   * Says something, with a request that is adjusted: {@code chat.send("Hi", r ->
   * r.withMaxTokens(50))}.
   *
   * @throws dev.knapsack.error.ContextExceededException if the conversation is longer than the
   *     plan's context
   * @throws dev.knapsack.error.TemplateException if the model's template refuses the conversation
   */
  public Generation send(String text, UnaryOperator<GenerationRequest> adjust) {
    return send(Message.user(text), adjust);
  }

  /**
   * Says something, or gives the result of a call. An answer to the message before that has not
   * ended is ended where it is.
   *
   * @throws dev.knapsack.error.ContextExceededException if the conversation is longer than the
   *     plan's context
   * @throws dev.knapsack.error.TemplateException if the model's template refuses the conversation
   */
  public Generation send(Message message, UnaryOperator<GenerationRequest> adjust) {
    settle();
    Conversation asked = said.withMessage(message);
    Generation started =
        knapsack
            .start(
                adjust.apply(GenerationRequest.of(asked)),
                request -> List.of(session.start(request)))
            .getFirst();
    said = asked;
    answer = started;
    return started;
  }

  /**
   * Says something, and gives the answer as a value of a type, once it is whole: {@code Recipe r =
   * chat.send("How is bread made?", Recipe.class)}. No tool is called.
   *
   * @param type a record, a sealed interface of records, or an enum; see {@link
   *     GenerationRequest#withAnswerType}
   * @throws dev.knapsack.error.ConstraintException if the type has a part that no answer is read
   *     into
   * @throws dev.knapsack.error.StructuredAnswerException if the answer ended before it was whole,
   *     or a constructor of the type refuses what it says
   */
  public <T> T send(String text, Class<T> type) {
    return send(text, type, request -> request);
  }

  /** The same with a request that is adjusted. */
  public <T> T send(String text, Class<T> type, UnaryOperator<GenerationRequest> adjust) {
    settle();
    Conversation before = said;
    Generation whole =
        send(
            text,
            request -> adjust.apply(request.withAnswerType(type).withToolChoice(ToolChoice.NONE)));
    try {
      return whole.as(type);
    } catch (RuntimeException | Error e) {
      whole.close();
      said = before;
      answer = null;
      throw e;
    }
  }

  private void settle() {
    if (answer != null) {
      answer.close();
      said = conversation();
      answer = null;
    }
  }

  /** The conversation so far, with the answer that is being written as far as it has come. */
  public Conversation conversation() {
    return answer == null ? said : said.withMessage(answer.messageSoFar());
  }

  /**
   * Saves what the model has read and written, so that a chat with the same {@link #conversation}
   * need not read it again. An answer that has not ended is ended where it is.
   *
   * @return bytes of the file; 0 if nothing was said yet, and nothing was saved
   * @throws dev.knapsack.error.CacheNotSavedException if it cannot be saved
   */
  public long save(CacheStore store, String name) {
    settle();
    return session.save(store, name);
  }

  /**
   * Takes up what {@link #save} saved: what this chat's history has in common with it is not read
   * again.
   *
   * @return tokens that were restored
   * @throws dev.knapsack.error.CacheFileException if nothing was saved, or it cannot be used; the
   *     next message then has the whole conversation read
   */
  public int restore(CacheStore store, String name) {
    settle();
    return session.restore(store, name);
  }

  /** Forgets what was said, but for the instructions: messages of the system and the developer. */
  public void clear() {
    settle();
    said =
        said.withMessages(
            said.messages().stream()
                .filter(m -> m.role() == Role.SYSTEM || m.role() == Role.DEVELOPER)
                .toList());
  }

  /** Ends the answer that is being written and gives the conversation's memory back. */
  @Override
  public void close() {
    session.close();
  }
}
