package dev.knapsack.cli;

import dev.knapsack.Chat;
import dev.knapsack.Knapsack;
import dev.knapsack.engine.FinishReason;
import dev.knapsack.engine.Request;
import dev.knapsack.engine.Usage;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A conversation with an open model. */
final class EngineConversation implements Conversation, AutoCloseable {
  private final Knapsack knapsack;
  private final UnaryOperator<Request> adjust;
  private final @Nullable NamedChat kept;
  private Chat chat;
  private @Nullable Usage last;

  EngineConversation(Knapsack knapsack, @Nullable String system, UnaryOperator<Request> adjust) {
    this(knapsack, null, adjust, null);
    if (system != null && !system.isEmpty()) {
      system(system);
    }
  }

  /**
   * A conversation that goes on.
   *
   * @param kept where it is kept, if it has a name
   */
  EngineConversation(
      Knapsack knapsack,
      @Nullable Chat chat,
      UnaryOperator<Request> adjust,
      @Nullable NamedChat kept) {
    this.knapsack = knapsack;
    this.adjust = adjust;
    this.chat = chat == null ? knapsack.chat() : chat;
    this.kept = kept;
  }

  @Override
  public Answer send(String message, Consumer<String> onText, BooleanSupplier stopped) {
    dev.knapsack.engine.Answer answer = chat.send(message, adjust);
    for (String piece : answer) {
      onText.accept(piece);
      if (stopped.getAsBoolean()) {
        answer.cancel();
        break;
      }
    }
    if (kept != null) {
      kept.said(chat);
    }
    Usage usage = answer.usage();
    last = usage;
    return new Answer(
        usage.promptTokens() - usage.cachedTokens(),
        usage.tokens(),
        duration(usage.secondsToFirstToken()),
        duration(usage.secondsToFirstToken() + usage.decodeSeconds()),
        ending(answer.finishReason().orElse(FinishReason.CANCELLED)));
  }

  private static Duration duration(double seconds) {
    return Duration.ofNanos((long) (seconds * 1e9));
  }

  private static Ending ending(FinishReason reason) {
    return switch (reason) {
      case END_TOKEN, STOP_STRING -> Ending.COMPLETE;
      case MAX_TOKENS -> Ending.LENGTH;
      case CONTEXT_FULL -> Ending.CONTEXT_FULL;
      case DEADLINE, CANCELLED, FAILED -> Ending.STOPPED;
    };
  }

  @Override
  public void clear() {
    chat.clear();
  }

  @Override
  public void system(String prompt) {
    chat.close();
    chat = prompt.isEmpty() ? knapsack.chat() : knapsack.chat(prompt);
  }

  @Override
  public List<String> notes() {
    return knapsack.notes(dev.knapsack.message.Conversation.of(chat.history()));
  }

  @Override
  public String report() {
    return last == null ? "" : Report.of(knapsack, last, 1).text();
  }

  /** Keeps what was said and what is cached, if it has a name. */
  void save() {
    if (kept != null) {
      kept.save(chat);
    }
  }

  @Override
  public void close() {
    chat.close();
  }
}
