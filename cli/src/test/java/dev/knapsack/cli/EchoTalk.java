package dev.knapsack.cli;

import dev.knapsack.message.Part;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** Answers every message with itself, a word at a time, and keeps what it was asked. */
final class EchoTalk implements Talk {
  final List<String> log = new ArrayList<>();

  /** Run before each word of an answer. */
  Runnable beforeWord = () -> {};

  @Override
  public Answer send(String message, Consumer<Part> onPart, BooleanSupplier stopped) {
    log.add(message);
    int tokens = 0;
    for (String word : message.split("(?<= )")) {
      beforeWord.run();
      if (stopped.getAsBoolean()) {
        return answer(tokens, Ending.STOPPED);
      }
      onPart.accept(new Part.Text(word));
      tokens++;
    }
    return answer(tokens, message.contains("full") ? Ending.CONTEXT_FULL : Ending.COMPLETE);
  }

  private static Answer answer(int tokens, Ending ending) {
    return new Answer(7, tokens, Duration.ofMillis(500), Duration.ofMillis(1500), ending);
  }

  @Override
  public void clear() {
    log.add("[clear]");
  }

  @Override
  public void system(String prompt) {
    log.add("[system " + prompt + "]");
  }

  @Override
  public List<String> notes() {
    return log.contains("[system no place]") ? List.of("There is no place.") : List.of();
  }

  @Override
  public String report() {
    return "";
  }
}
