package dev.knapsack.springai;

import dev.knapsack.Knapsack;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.test.chat.client.advisor.AbstractToolCallingAdvisorAutoRegistrationIT;
import org.springframework.ai.test.chat.client.advisor.AbstractToolCallingAdvisorIT;

/** Spring AI's own kits for tools, several at once among them, by a model that calls them. */
class ToolCallingKitTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  @Nested
  class WithAnAdvisor extends AbstractToolCallingAdvisorIT {
    @Override
    protected ChatModel getChatModel() {
      return KnapsackChatModel.builder(knapsack).build();
    }
  }

  @Nested
  class WithoutSayingSo extends AbstractToolCallingAdvisorAutoRegistrationIT {
    @Override
    protected ChatModel getChatModel() {
      return KnapsackChatModel.builder(knapsack).build();
    }
  }
}
