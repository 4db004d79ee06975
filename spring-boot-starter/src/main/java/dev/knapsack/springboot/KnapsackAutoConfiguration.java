package dev.knapsack.springboot;

import dev.knapsack.Embedder;
import dev.knapsack.Knapsack;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.springai.KnapsackChatModel;
import dev.knapsack.springai.KnapsackEmbeddingModel;
import io.micrometer.observation.ObservationRegistry;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.ai.model.chat.client.autoconfigure.ChatClientAutoConfiguration;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.model.tool.autoconfigure.ToolCallingAutoConfiguration;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.AnyNestedCondition;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;

/**
 * Models of Knapsack as beans: those whose files are configured, in one host. Whoever defines a
 * {@link Host}, a {@link Knapsack} or an {@link Embedder} takes the place of what would be made
 * here; beans are closed with the context, once the answers under way have ended.
 */
@AutoConfiguration(
    after = ToolCallingAutoConfiguration.class,
    before = ChatClientAutoConfiguration.class)
@Conditional(KnapsackAutoConfiguration.AnyModel.class)
@EnableConfigurationProperties(KnapsackProperties.class)
public class KnapsackAutoConfiguration {
  private static final String MEMORY = "spring.ai.knapsack.memory";
  private static final String CHAT = "spring.ai.knapsack.chat.model";
  private static final String EMBEDDING = "spring.ai.knapsack.embedding.model";

  /** The name by which {@code spring.ai.model.…} chooses among models. */
  private static final String CHOICE = KnapsackChatModel.PROVIDER;

  /** Some model is configured. */
  static final class AnyModel extends AnyNestedCondition {
    AnyModel() {
      super(ConfigurationPhase.PARSE_CONFIGURATION);
    }

    /** One that chats. */
    @ConditionalOnProperty(CHAT)
    static final class Chat {}

    /** One that makes vectors. */
    @ConditionalOnProperty(EMBEDDING)
    static final class Embedding {}
  }

  @Bean
  @ConditionalOnMissingBean
  Host knapsackHost(KnapsackProperties properties) {
    Host.Options options =
        Host.Options.usual().withWholeProcess(properties.wholeProcess()).withServing(true);
    @Nullable String cache = properties.cacheDir();
    return new Host(
        budget(properties.memory()), cache == null ? options : options.withCache(Path.of(cache)));
  }

  private static Budget budget(@Nullable String memory) {
    if (memory == null) {
      throw new InvalidConfigurationPropertyValueException(
          MEMORY,
          null,
          "A model of Knapsack is configured, and no memory for it. Name the bytes that all models"
              + " may have together, such as 512MiB.");
    }
    try {
      return Budget.of(memory);
    } catch (IllegalArgumentException e) {
      throw new InvalidConfigurationPropertyValueException(
          MEMORY, memory, Objects.requireNonNullElse(e.getMessage(), "No number of bytes."));
    }
  }

  /** The model that chats. */
  @Configuration(proxyBeanMethods = false)
  @ConditionalOnProperty(CHAT)
  @ConditionalOnProperty(
      name = SpringAIModelProperties.CHAT_MODEL,
      havingValue = CHOICE,
      matchIfMissing = true)
  static class Chat {
    /** After the model that makes vectors: this one's plan takes as much as there is. */
    @Bean
    @ConditionalOnMissingBean
    Knapsack knapsack(
        Host host, KnapsackProperties properties, ObjectProvider<Embedder> embedders) {
      embedders.ifAvailable(_ -> {});
      KnapsackProperties.Chat chat = properties.chat();
      return Knapsack.open(Path.of(Objects.requireNonNull(chat.model())), host, chat.opening());
    }

    @Bean
    @ConditionalOnMissingBean
    KnapsackChatModel knapsackChatModel(
        Knapsack knapsack,
        KnapsackProperties properties,
        ObjectProvider<ToolCallingManager> tools,
        ObjectProvider<ObservationRegistry> observations,
        ObjectProvider<ChatModelObservationConvention> convention) {
      KnapsackChatModel.Builder builder =
          KnapsackChatModel.builder(knapsack).options(properties.chat().options().options());
      tools.ifUnique(builder::toolCallingManager);
      observations.ifUnique(builder::observationRegistry);
      convention.ifAvailable(builder::observationConvention);
      return builder.build();
    }

    @Bean
    KnapsackShutdown knapsackShutdown(KnapsackChatModel model) {
      return new KnapsackShutdown(model);
    }
  }

  /** The model that makes vectors. */
  @Configuration(proxyBeanMethods = false)
  @ConditionalOnProperty(EMBEDDING)
  @ConditionalOnProperty(
      name = SpringAIModelProperties.EMBEDDING_MODEL,
      havingValue = CHOICE,
      matchIfMissing = true)
  static class Embedding {
    @Bean
    @ConditionalOnMissingBean
    Embedder knapsackEmbedder(Host host, KnapsackProperties properties) {
      KnapsackProperties.Embedding embedding = properties.embedding();
      return Embedder.open(
          Path.of(Objects.requireNonNull(embedding.model())), host, embedding.opening());
    }

    @Bean
    @ConditionalOnMissingBean
    KnapsackEmbeddingModel knapsackEmbeddingModel(
        Embedder embedder,
        KnapsackProperties properties,
        ObjectProvider<ObservationRegistry> observations,
        ObjectProvider<EmbeddingModelObservationConvention> convention) {
      KnapsackEmbeddingModel.Builder builder =
          KnapsackEmbeddingModel.builder(embedder)
              .options(properties.embedding().options())
              .retrieval(properties.embedding().retrieval());
      observations.ifUnique(builder::observationRegistry);
      convention.ifAvailable(builder::observationConvention);
      return builder.build();
    }
  }
}
