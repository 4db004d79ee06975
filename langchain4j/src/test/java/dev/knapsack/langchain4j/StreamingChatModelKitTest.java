package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.argThat;
import static org.mockito.Mockito.atLeast;

import dev.knapsack.Knapsack;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.common.AbstractStreamingChatModelIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponseMetadata;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.TokenUsage;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.mockito.InOrder;

/** LangChain4j's own kit for streaming chat models, by a model that says what it asks for. */
class StreamingChatModelKitTest extends AbstractStreamingChatModelIT {
  @RegisterExtension static final Kit KIT = new Kit(AbstractStreamingChatModelIT.class);

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
    assertThat(KIT.cases()).hasSize(ChatModelKitTest.CASES + 4);
  }

  /**
   * The kit's case waits for half a minute that nothing more comes, and {@link StreamedAnswerTest}
   * has the same in less: {@code -Dknapsack.kit.slow=true} runs the kit's.
   */
  @Override
  protected boolean supportsStreamingCancellation() {
    return Boolean.getBoolean("knapsack.kit.slow");
  }

  private KnapsackStreamingChatModel.Builder builder() {
    return KnapsackStreamingChatModel.builder().knapsack(knapsack);
  }

  @Override
  protected List<StreamingChatModel> models() {
    return List.of(builder().build());
  }

  @Override
  public StreamingChatModel createModelWith(ChatModelListener listener) {
    return builder().listeners(List.of(listener)).build();
  }

  @Override
  protected StreamingChatModel createModelWith(ChatRequestParameters parameters) {
    return builder().defaultRequestParameters(parameters).build();
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
  protected Class<? extends ChatResponseMetadata> chatResponseMetadataType(
      StreamingChatModel model) {
    return KnapsackChatResponseMetadata.class;
  }

  @Override
  protected Class<? extends TokenUsage> tokenUsageType(StreamingChatModel model) {
    return KnapsackTokenUsage.class;
  }

  @Override
  protected void verifyToolCallbacks(StreamingChatResponseHandler handler, InOrder io, String id) {
    verifyCall(handler, io, 0, id, "getWeather");
  }

  @Override
  protected void verifyToolCallbacks(
      StreamingChatResponseHandler handler, InOrder io, String id1, String id2) {
    verifyCall(handler, io, 0, id1, "getWeather");
    verifyCall(handler, io, 1, id2, "getTime");
  }

  private static void verifyCall(
      StreamingChatResponseHandler handler, InOrder io, int index, String id, String name) {
    io.verify(handler, atLeast(2))
        .onPartialToolCall(
            argThat(p -> p.index() == index && p.id().equals(id) && p.name().equals(name)), any());
    io.verify(handler)
        .onCompleteToolCall(
            argThat(c -> c.index() == index && c.toolExecutionRequest().id().equals(id)));
  }
}
