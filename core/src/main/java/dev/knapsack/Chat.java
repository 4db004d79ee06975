package dev.knapsack;

import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Request;
import dev.knapsack.engine.Session;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import java.util.ArrayList;
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
  private final List<Message> history = new ArrayList<>();

  /** The answer to the last message, which becomes history when the next is sent. */
  private @Nullable Answer answer;

  Chat(Knapsack knapsack, List<Message> said) {
    this.knapsack = knapsack;
    this.session = knapsack.engine().session();
    history.addAll(said);
  }

  /** Says something; the answer is written as its text is taken. */
  public Answer send(String text) {
    return send(text, request -> request);
  }

  /**
   * Says something, with a request that is adjusted: {@code chat.send("Hi", r ->
   * r.withMaxTokens(50))}. An answer to the message before that has not ended is ended where it is.
   *
   * @throws dev.knapsack.error.ContextExceededException if the conversation is longer than the
   *     plan's context
   * @throws dev.knapsack.error.TemplateException if the model's template refuses the conversation
   */
  public Answer send(String text, UnaryOperator<Request> adjust) {
    settle();
    List<Message> messages = new ArrayList<>(history);
    messages.add(Message.user(text));
    Request request = adjust.apply(Request.of(knapsack.tokens(Conversation.of(messages))));
    Answer started = session.start(request);
    history.add(messages.getLast());
    answer = started;
    return started;
  }

  private void settle() {
    if (answer != null) {
      answer.close();
      history.add(Message.assistant(answer.textSoFar()));
      answer = null;
    }
  }

  /** What was said so far, the answer that is being written included. */
  public List<Message> history() {
    List<Message> all = new ArrayList<>(history);
    if (answer != null) {
      all.add(Message.assistant(answer.textSoFar()));
    }
    return List.copyOf(all);
  }

  /**
   * Saves what the model has read and written, so that a chat with the same {@link #history} need
   * not read it again. An answer that has not ended is ended where it is.
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

  /** Forgets what was said, but for the system message. */
  public void clear() {
    settle();
    history.removeIf(message -> message.role() != Role.SYSTEM);
  }

  /** Ends the answer that is being written and gives the conversation's memory back. */
  @Override
  public void close() {
    session.close();
  }
}
