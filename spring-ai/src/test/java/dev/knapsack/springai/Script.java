package dev.knapsack.springai;

import static dev.knapsack.testing.ScriptedModel.call;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.testing.ScriptedModel;
import dev.knapsack.testing.ScriptedModel.Line;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The script of a model that says what Spring AI's kits ask for, and what the tests here do. */
final class Script {
  static final String STORY =
      "Once upon a time there was a fox who wanted to count all the stars. Every night it climbed"
          + " the hill, and every night it fell asleep before it had come to one hundred.";

  private static final List<Line> LINES =
      List.of(
          new Line(
              "San Francisco",
              Stream.of(weather("San Francisco"), weather("Tokyo"), weather("Paris"))
                  .collect(Collectors.joining("\n"))),
          new Line("Tokyo", weather("Tokyo")),
          new Line("feels_like", "San Francisco has 30 degrees, Tokyo 10, and Paris 15."),
          new Line("a long story", STORY),
          new Line("hello", "Hello! How may I be of help to you today?"),
          new Line(
              "Is 7 a prime?", "<think>Two, three and five do not divide it.</think>Yes, 7 is."),
          new Line("How warm", "I shall look." + call("temperature", "{\"city\": \"Oslo\"}")),
          new Line("21.5", "In Oslo it has 21.5 degrees."),
          new Line("Where was Ada born?", "In England.", "{\"town\": \"London\", \"year\": 1815}"));

  private Script() {}

  private static String weather(String city) {
    return call(
        "getCurrentWeather",
        "{\"location\": \"%s\", \"lat\": 1.5, \"lon\": 2.5, \"unit\": \"C\"}".formatted(city));
  }

  /** Opens a model of its own, which closing it ends. */
  static Knapsack open(Path folder) {
    return ScriptedModel.open(folder, LINES, Options.usual());
  }
}
