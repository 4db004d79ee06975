package dev.knapsack.examples;

import dev.knapsack.Chat;
import dev.knapsack.Embedder;
import dev.knapsack.Embedding;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.generation.Constraint;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Tool;
import java.nio.file.Path;
import java.util.List;

/** A chat, an answer held to a form, a tool and vectors, of two models in one budget. */
public final class Notes {
  private static final String NOTES = "Dan put the blue ring in the library. Lia likes figs.";

  private Notes() {}

  /** Takes the file of a model that chats and, for the vectors, that of one that embeds. */
  public static void main(String[] args) {
    Host host = new Host(Budget.of("512MiB"));
    if (args.length > 1) {
      vectors(host, Path.of(args[1]));
    }
    try (Knapsack model =
        Knapsack.open(Path.of(args[0]), host, Options.usual().withConstraints(true))) {
      chat(model);
      tool(model);
    }
  }

  private static void vectors(Host host, Path file) {
    try (Embedder embedder = Embedder.open(file, host, Options.usual())) {
      List<Embedding> vectors = embedder.embed(List.of("A cat on the sill.", "A kitten outside."));
      System.out.printf("alike: %.2f%n", vectors.get(0).cosine(vectors.get(1)));
    }
  }

  private static void chat(Knapsack model) {
    try (Chat chat = model.chat()) {
      System.out.println(chat.send(NOTES).text());
      chat.send("Where is the blue ring?").forEach(System.out::print);
      System.out.println();
      Constraint form = new Constraint.Choice(List.of("Lia likes figs.", "Lia likes rice."));
      System.out.println(chat.send("What does Lia like?", r -> r.withConstraint(form)).text());
    }
  }

  private static void tool(Knapsack model) {
    String city = "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}}";
    Tool weather = new Tool("weather", "The weather of a place.", city);
    Conversation asked = Conversation.of(Message.user("Is it warm in Oslo?"));
    GenerationRequest request = GenerationRequest.of(asked.withTools(List.of(weather)));
    try (Generation answer = model.generate(request.withMaxTokens(100))) {
      for (Part part : answer.message().parts()) {
        System.out.println(
            part instanceof Part.ToolCall call ? call.name() + call.arguments() : part.toString());
      }
    }
  }
}
