package dev.knapsack.langchain4j;

import static dev.knapsack.testing.ScriptedModel.call;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.testing.ScriptedModel;
import dev.knapsack.testing.ScriptedModel.Line;
import java.nio.file.Path;
import java.util.List;

/** The script of a model that says what LangChain4j's kits ask for, and what the tests here do. */
final class Script {
  static final String STORY =
      "Once upon a time there was a fox who wanted to count all the stars. Every night it climbed"
          + " the hill, and every night it fell asleep before it had come to one hundred.";

  static final List<Line> LINES =
      List.of(
          new Line("capital of Germany? How much", "The capital is Berlin, and the sum is four."),
          new Line("capital of Germany", "It is Berlin.", "{\"city\": \"Berlin\"}"),
          new Line("Translate: ", "Ich liebe dich."),
          new Line("my favorite color?", "Your favorite color is green."),
          new Line("Say 'Hello World'", "Hello World"),
          new Line(
              "Munich and time in France",
              call("getWeather", "{\"city\": \"Munich\"}")
                  + "\n"
                  + call("getTime", "{\"country\": \"France\"}")),
          new Line("Munich", call("getWeather", "{\"city\": \"Munich\"}")),
          new Line("14:35", "Sunny in Munich, and in France it is 14:35."),
          new Line("sunny", "The sun is shining there.", "{\"weather\": \"sunny\"}"),
          new Line("get_current_time", call("get_current_time", "{}")),
          new Line("10:14", "By my clock, it is now 10:14."),
          new Line("a long story", STORY),
          new Line("hello", "Hello! How may I be of help to you today?"),
          new Line(
              "Is 7 a prime?", "<think>Two, three and five do not divide it.</think>Yes, 7 is."),
          new Line("How warm", "I shall look." + call("temperature", "{\"city\": \"Oslo\"}")),
          new Line("21.5", "In Oslo it has 21.5 degrees."),
          new Line("Where was Ada born?", "In England.", "{\"town\": \"London\", \"year\": 1815}"));

  private Script() {}

  /** Opens a model of its own, which closing it ends. */
  static Knapsack open(Path folder) {
    return open(folder, Options.usual());
  }

  static Knapsack open(Path folder, Options options) {
    return ScriptedModel.open(folder, LINES, options);
  }
}
