package dev.knapsack.cli;

import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Part;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** The parts of an answer as they come. */
final class Parts {
  private Parts() {}

  /** Gives each part to a listener, to the end of the answer; throws what the answer fails with. */
  static void of(Generation answer, Consumer<Part> listener) {
    try (Stream<Event> events = answer.events()) {
      events.forEach(event -> {
        switch (event) {
          case Event.Text(String text) -> listener.accept(new Part.Text(text));
          case Event.Reasoning(String text) -> listener.accept(new Part.Reasoning(text));
          case Event.Call(int _, Part.ToolCall call) -> listener.accept(call);
          case Event.Failure failure -> throw failure.thrown();
          case Event.CallBegins _, Event.Arguments _, Event.Token _, Event.End _, Usage _ -> {}
        }
      });
    }
  }
}
