package dev.knapsack.cli;

import dev.knapsack.Chat;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A conversation with an open model. */
final class EngineTalk implements Talk, AutoCloseable {
  private final Knapsack knapsack;
  private final UnaryOperator<GenerationRequest> adjust;
  private final @Nullable NamedChat kept;
  private Chat chat;
  private @Nullable Usage last;

  /**
   * @param chat what has been said; instructions and tools stay when it starts over
   * @param kept where it is kept, if it has a name
   */
  EngineTalk(
      Knapsack knapsack,
      Chat chat,
      UnaryOperator<GenerationRequest> adjust,
      @Nullable NamedChat kept) {
    this.knapsack = knapsack;
    this.adjust = adjust;
    this.chat = chat;
    this.kept = kept;
  }

  @Override
  public Answer send(String message, Consumer<Part> onPart, BooleanSupplier stopped) {
    Generation answer = chat.send(message, adjust);
    Parts.of(
        answer,
        part -> {
          onPart.accept(part);
          if (stopped.getAsBoolean()) {
            answer.cancel();
          }
        });
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
    List<Message> instructions = prompt.isEmpty() ? List.of() : List.of(Message.system(prompt));
    Conversation over = chat.conversation().withMessages(instructions);
    chat.close();
    chat = knapsack.chat(over);
  }

  @Override
  public List<String> notes() {
    return knapsack.notes(chat.conversation());
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
