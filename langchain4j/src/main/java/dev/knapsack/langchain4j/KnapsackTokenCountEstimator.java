package dev.knapsack.langchain4j;

import dev.knapsack.Knapsack;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.model.TokenCountEstimator;

/**
 * LangChain4j's count of tokens, by a model's own tokenizer.
 *
 * <p>A text's tokens are counted. Of a message there are those of its text, its calls and results,
 * and those that the model's chat template writes around a message, as many as it writes around a
 * short one; thinking is left out, as templates do. Texts may be longer than the model's context.
 */
public final class KnapsackTokenCountEstimator implements TokenCountEstimator {
  private static final String WORD = "a";

  private final Knapsack knapsack;

  /** Tokens that the template writes around a message, on average. */
  private final double around;

  /** Tokens that it writes around all messages, up to where an answer begins. */
  private final double aroundAll;

  public KnapsackTokenCountEstimator(Knapsack knapsack) {
    this.knapsack = knapsack;
    int word = estimateTokenCountInText(WORD);
    Message asked = Message.user(WORD);
    int one = knapsack.tokens(Conversation.of(asked)).length;
    int three = knapsack.tokens(Conversation.of(asked, Message.assistant(WORD), asked)).length;
    around = Math.max(0, (three - one) / 2.0 - word);
    aroundAll = Math.max(0, one - word - around);
  }

  @Override
  public int estimateTokenCountInText(String text) {
    return knapsack.count(text);
  }

  @Override
  public int estimateTokenCountInMessage(ChatMessage message) {
    return (int) Math.ceil(around + said(message));
  }

  @Override
  public int estimateTokenCountInMessages(Iterable<ChatMessage> messages) {
    double count = aroundAll;
    for (ChatMessage message : messages) {
      count += around + said(message);
    }
    return (int) Math.ceil(count);
  }

  private int said(ChatMessage message) {
    int count = 0;
    for (Part part : Conversations.message(message).parts()) {
      count +=
          switch (part) {
            case Part.Text(String text) -> estimateTokenCountInText(text);
            case Part.ToolCall call -> estimateTokenCountInText(call.name() + call.arguments());
            case Part.ToolResult result -> estimateTokenCountInText(result.text());
            case Part.Reasoning _, Part.Media _ -> 0;
          };
    }
    return count;
  }
}
