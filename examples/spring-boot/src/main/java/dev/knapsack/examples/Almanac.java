package dev.knapsack.examples;

import java.util.List;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.vectorstore.SearchRequest;
import org.springframework.ai.vectorstore.SimpleVectorStore;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Answers questions from a few notes: those that are nearest to a question go before the model. */
@SpringBootApplication
@RestController
public class Almanac {
  private static final List<String> NOTES =
      List.of(
          "Dan put the blue ring in the library.",
          "Ann left the bicycle behind the bakery.",
          "The ferry to the island goes at noon.",
          "Tom hid the letter in the piano.");

  /** An answer, and the notes that it is from. */
  public record Answer(String text, List<String> notes) {}

  private final ChatClient chat;
  private final SimpleVectorStore store;

  Almanac(ChatClient.Builder chat, EmbeddingModel vectors) {
    this.chat = chat.build();
    this.store = SimpleVectorStore.builder(vectors).build();
    store.add(NOTES.stream().map(Document::new).toList());
  }

  public static void main(String[] args) {
    SpringApplication.run(Almanac.class, args);
  }

  @GetMapping("/ask")
  Answer ask(@RequestParam String question) {
    List<String> notes =
        store.similaritySearch(SearchRequest.builder().query(question).topK(2).build()).stream()
            .map(Document::getText)
            .toList();
    String asked = String.join(" ", notes) + " " + question;
    return new Answer(chat.prompt(asked).call().content(), notes);
  }
}
