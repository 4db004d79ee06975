package dev.knapsack.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.vectorstore.SearchRequest;
import org.springframework.ai.vectorstore.SimpleVectorStore;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.core.io.Resource;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Answers questions from a few documents: their lines that are nearest to a question go first. */
@SpringBootApplication
@RestController
public class Almanac {
  /** A line of a document. */
  public record Note(String text, String document) {}

  /** An answer, and the notes that it is from, the nearest first. */
  public record Answer(String text, List<Note> notes) {}

  private final ChatClient chat;
  private final SimpleVectorStore store;

  Almanac(
      ChatClient.Builder chat,
      EmbeddingModel vectors,
      @Value("classpath:documents/*.txt") Resource[] documents)
      throws IOException {
    this.chat = chat.build();
    this.store = SimpleVectorStore.builder(vectors).build();
    List<Document> lines = new ArrayList<>();
    for (Resource document : documents) {
      Map<String, Object> source = Map.of("document", String.valueOf(document.getFilename()));
      document.getContentAsString(UTF_8).lines().forEach(l -> lines.add(new Document(l, source)));
    }
    store.add(lines);
  }

  public static void main(String[] args) {
    SpringApplication.run(Almanac.class, args);
  }

  @GetMapping("/ask")
  Answer ask(@RequestParam String question) {
    List<Note> notes =
        store.similaritySearch(SearchRequest.builder().query(question).topK(2).build()).stream()
            .map(near -> new Note(near.getText(), (String) near.getMetadata().get("document")))
            .toList();
    String known = String.join(" ", notes.stream().map(Note::text).toList());
    String said =
        chat.prompt()
            .messages(
                new UserMessage(known), new AssistantMessage("Noted."), new UserMessage(question))
            .call()
            .content();
    return new Answer(said == null ? "" : said.strip(), notes);
  }
}
