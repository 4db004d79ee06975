package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.knapsack.message.Conversation;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KnapsackTokenCountEstimatorTest {
  @Test
  void messagesCountWhatTheTemplateWrites(@TempDir Path folder) {
    try (Knapsack knapsack = Script.open(folder)) {
      KnapsackTokenCountEstimator estimator = new KnapsackTokenCountEstimator(knapsack);
      // A token a byte.
      assertThat(estimator.estimateTokenCountInText("")).isZero();
      assertThat(estimator.estimateTokenCountInText("föx")).isEqualTo(4);
      assertThat(estimator.estimateTokenCountInText("fox ".repeat(5_000))).isEqualTo(20_000);
      List<ChatMessage> said =
          List.of(
              UserMessage.from("A question of some words."),
              AiMessage.from("An answer."),
              UserMessage.from("Another one."),
              AiMessage.from("And so on."),
              UserMessage.from("Well?"));
      assertThat(estimator.estimateTokenCountInMessages(said))
          .isEqualTo(knapsack.tokens(Conversation.of(Conversations.messages(said))).length);
      ToolExecutionRequest call =
          ToolExecutionRequest.builder().id("1").name("time").arguments("{}").build();
      // No template takes these alone.
      int empty = estimator.estimateTokenCountInMessage(SystemMessage.from("?")) - 1;
      assertThat(empty).isBetween("user".length(), "<|im_start|>assistant<|im_end|>".length());
      assertThat(estimator.estimateTokenCountInMessage(AiMessage.from(call))).isEqualTo(empty + 6);
      assertThat(
              estimator.estimateTokenCountInMessage(ToolExecutionResultMessage.from(call, "10:14")))
          .isEqualTo(empty + 5);
      assertThat(
              estimator.estimateTokenCountInMessage(
                  AiMessage.builder().text("Yes.").thinking("Hm, hm.").build()))
          .isEqualTo(empty + 4);
    }
  }
}
