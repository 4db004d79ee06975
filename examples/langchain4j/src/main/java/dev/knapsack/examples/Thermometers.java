package dev.knapsack.examples;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.knapsack.langchain4j.KnapsackChatModel;
import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.UserMessage;
import dev.langchain4j.service.V;
import java.nio.file.Path;
import java.util.Map;

/** An AI service that calls a tool, and one that answers with a record, over a model in here. */
public final class Thermometers {
  /** A temperature, as a sentence has it. */
  public record Reading(
      @JsonProperty(required = true) String city, @JsonProperty(required = true) double degrees) {}

  /** What the model is asked for. */
  public interface Assistant {
    String chat(String question);

    @UserMessage("Which temperature does this sentence give, and where? {{sentence}}")
    Reading read(@V("sentence") String sentence);
  }

  /** Thermometers that the model can look at. */
  public static final class Places {
    private static final Map<String, Double> DEGREES = Map.of("Oslo", 3.5, "Rome", 21.0);

    @Tool("The temperature in a city now, in degrees Celsius.")
    public String temperature(@P(name = "city", value = "its name") String city) {
      Double degrees = DEGREES.get(city);
      return degrees == null ? "There is no thermometer in " + city : degrees + " degrees";
    }
  }

  private Thermometers() {}

  /** Takes a model's file, and the memory that it may use. */
  public static void main(String[] args) {
    if (args.length != 2) {
      System.err.println("Give a model's file and a budget, such as model.gguf 2GiB");
      System.exit(2);
    }
    try (KnapsackChatModel model =
        KnapsackChatModel.builder()
            .modelPath(Path.of(args[0]))
            .memory(args[1])
            .topK(1)
            .maxOutputTokens(200)
            .build()) {
      Assistant assistant =
          AiServices.builder(Assistant.class).chatModel(model).tools(new Places()).build();
      System.out.println(assistant.chat("Is it warmer in Rome than in Oslo?"));
      // An answer is held to the record's schema, in which a field may be missing unless it says.
      Assistant reader = AiServices.create(Assistant.class, model);
      System.out.println(reader.read("At noon it had 19.5 degrees in Lisbon."));
    }
  }
}
