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
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** LangChain4j's own kit for chat models, by a model that says what it asks for. */
class ChatModelKitTest extends AbstractChatModelIT {
  @RegisterExtension static final Kit KIT = new Kit(AbstractChatModelIT.class);

  private Knapsack knapsack;

  @BeforeAll
  void open(@TempDir Path folder) {
    knapsack = Script.open(folder);
  }

  @AfterAll
  void close() {
    knapsack.close();
  }

  @Test
  void theKitIsTheOneThatIsKnown() {
    assertThat(KIT.cases()).hasSize(CASES);
  }

  /** Cases that the kits of models that stream, and of those that do not, have in common. */
  static final int CASES = 33;

  @Override
  protected List<ChatModel> models() {
    return List.of(KnapsackChatModel.builder().knapsack(knapsack).build());
  }

  @Override
  protected ChatModel createModelWith(ChatRequestParameters parameters) {
    return KnapsackChatModel.builder()
        .knapsack(knapsack)
        .defaultRequestParameters(parameters)
        .build();
  }

  @Override
  protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
    return KnapsackChatRequestParameters.builder().maxOutputTokens(maxOutputTokens).build();
  }

  /** A model that is open here has one name; the kit then wants others refused. */
  @Override
  protected boolean supportsModelNameParameter() {
    return false;
  }

  /** As above: the kit then wants images refused. */
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
