package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelIT;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponseMetadata;
import dev.langchain4j.model.output.TokenUsage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The same kit by a model of 2.6 million parameters, which knows nothing but its notes. */
class SmallModelKitTest extends AbstractChatModelIT {
  private static final String KNOWS = "knows nothing of the world: not Berlin, not German";
  private static final String OBEYS = "goes on with what it reads, and does not do what it is told";
  private static final String CALLS = "does not know tools, and calls none unless it must";
  private static final String FILLS =
      "writes what it is held to, a call of the tool or an object, but not with Munich or Berlin";

  /** Cases that need what it cannot say, each with the reason. */
  private static final Map<String, String> BEYOND =
      Map.ofEntries(
          Map.entry("should_respect_user_message", KNOWS),
          Map.entry("should_respect_system_message", KNOWS),
          Map.entry("should_respect_multiple_messages", OBEYS),
          Map.entry("should_respect_stopSequences_in_chat_request", OBEYS),
          Map.entry("should_respect_stopSequences_in_default_model_parameters", OBEYS),
          Map.entry("should_execute_a_tool_then_answer", CALLS),
          Map.entry("should_execute_a_tool_without_arguments_then_answer", CALLS),
          Map.entry("should_execute_multiple_tools_in_parallel_then_answer", CALLS),
          Map.entry(
              "should_execute_a_tool_then_answer_respecting_JSON_response_format_with_schema",
              FILLS),
          Map.entry("should_force_LLM_to_execute_any_tool", FILLS),
          Map.entry("should_force_LLM_to_execute_specific_tool", FILLS),
          Map.entry("should_respect_JSON_response_format", FILLS),
          Map.entry("should_respect_JSON_response_format_with_schema", FILLS),
          Map.entry("should_respect_JsonRawSchema_responseFormat", FILLS));

  @RegisterExtension static final Kit KIT = new Kit(AbstractChatModelIT.class, BEYOND);

  private Knapsack knapsack;

  @BeforeAll
  void open(@TempDir Path folder) {
    knapsack = NotesModel.open(folder);
  }

  @AfterAll
  void close() {
    knapsack.close();
  }

  @Test
  void whatIsBeyondItIsOfTheKit() {
    assertThat(KIT.cases()).containsAll(BEYOND.keySet());
  }

  @Override
  protected List<ChatModel> models() {
    return List.of(createModelWith(ChatRequestParameters.builder().build()));
  }

  /** The likeliest tokens, so that each run says the same, and not too many of them. */
  @Override
  protected ChatModel createModelWith(ChatRequestParameters parameters) {
    return KnapsackChatModel.builder()
        .knapsack(knapsack)
        .topK(1)
        .maxOutputTokens(40)
        .defaultRequestParameters(parameters)
        .build();
  }

  @Override
  protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
    return KnapsackChatRequestParameters.builder().maxOutputTokens(maxOutputTokens).build();
  }

  @Override
  protected boolean supportsModelNameParameter() {
    return false;
  }

  @Override
  protected boolean supportsSingleImageInputAsBase64EncodedString() {
    return false;
  }

  @Override
  protected boolean supportsSingleImageInputAsPublicURL() {
    return false;
  }

  @Override
  protected Class<? extends ChatResponseMetadata> chatResponseMetadataType(ChatModel model) {
    return KnapsackChatResponseMetadata.class;
  }

  @Override
  protected Class<? extends TokenUsage> tokenUsageType(ChatModel model) {
    return KnapsackTokenUsage.class;
  }
}
