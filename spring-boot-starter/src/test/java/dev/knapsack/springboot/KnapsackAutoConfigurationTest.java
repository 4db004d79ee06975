package dev.knapsack.springboot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Embedder;
import dev.knapsack.Knapsack;
import dev.knapsack.TestData;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.springai.KnapsackChatModel;
import dev.knapsack.springai.KnapsackEmbeddingModel;
import dev.knapsack.testing.ScriptedModel;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.model.chat.client.autoconfigure.ChatClientAutoConfiguration;
import org.springframework.ai.model.chat.observation.autoconfigure.ChatObservationAutoConfiguration;
import org.springframework.ai.model.tool.autoconfigure.ToolCallingAutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.assertj.AssertableApplicationContext;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.mock.env.MockEnvironment;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A program of Spring Boot that is configured, answers, is looked at, and ends. */
class KnapsackAutoConfigurationTest {
  private static final String PREFIX = "spring.ai.knapsack.";
  private static final String STORY =
      "Once upon a time there was a fox who wanted to count all the stars. Every night it climbed"
          + " the hill, and every night it fell asleep before it had come to one hundred.";

  @TempDir static Path folder;
  private static Path chat;

  @BeforeAll
  static void write() {
    chat =
        ScriptedModel.write(
            folder,
            List.of(
                new ScriptedModel.Line("a long story", STORY),
                new ScriptedModel.Line("hello", "Hello! How may I be of help to you today?")));
  }

  /** What a program with the starter has, whatever is configured. */
  private static ApplicationContextRunner starter() {
    List<Class<?>> all = new ArrayList<>();
    for (String name :
        ImportCandidates.load(
            AutoConfiguration.class, KnapsackAutoConfiguration.class.getClassLoader())) {
      if (name.startsWith("dev.knapsack.")) {
        try {
          all.add(Class.forName(name));
        } catch (ClassNotFoundException e) {
          throw new AssertionError(e);
        }
      }
    }
    assertThat(all).hasSize(3);
    Collections.addAll(
        all,
        ToolCallingAutoConfiguration.class,
        ChatClientAutoConfiguration.class,
        ChatObservationAutoConfiguration.class);
    return new ApplicationContextRunner()
        .withConfiguration(AutoConfigurations.of(all.toArray(Class[]::new)))
        .withPropertyValues(PREFIX + "cache-dir=" + folder);
  }

  private static ApplicationContextRunner chatting() {
    return starter()
        .withPropertyValues(PREFIX + "memory=256MiB", PREFIX + "chat.model=" + chat);
  }

  @Test
  void aProgramWithoutModelsHasNoBeans() {
    starter()
        .withBean(ChatModel.class, () -> prompt -> null)
        .run(context ->
            assertThat(context).hasNotFailed().doesNotHaveBean(Host.class)
                .doesNotHaveBean(HealthIndicator.class));
  }

  @Test
  void aModelThatIsConfiguredAnswersAndGivesBackItsBytes() {
    Budget[] budget = new Budget[1];
    chatting()
        .withPropertyValues(
            PREFIX + "chat.context=1024",
            PREFIX + "chat.sequences=2",
            PREFIX + "chat.workers=1",
            PREFIX + "chat.kv-format=q8_0",
            PREFIX + "chat.options.max-tokens=3",
            PREFIX + "chat.options.temperature=0",
            PREFIX + "chat.options.stop=x,y",
            PREFIX + "chat.options.timeout=1m",
            PREFIX + "chat.options.thinking=false")
        .run(context -> {
          Knapsack knapsack = context.getBean(Knapsack.class);
          assertThat(knapsack.plan().context()).isEqualTo(1024);
          assertThat(knapsack.plan().sequences()).isEqualTo(2);
          assertThat(knapsack.plan().workers()).isEqualTo(1);
          assertThat(knapsack.plan().cache().toString()).contains("Q8_0");
          var options = context.getBean(KnapsackChatModel.class).getOptions();
          assertThat(options.getStopSequences()).containsExactly("x", "y");
          assertThat(options.getTimeout()).hasMinutes(1);
          assertThat(options.getTemplateVariables()).containsEntry("enable_thinking", false);
          ChatResponse answer =
              context
                  .getBean(ChatClient.Builder.class)
                  .build()
                  .prompt("hello")
                  .call()
                  .chatResponse();
          assertThat(answer.getResult().getMetadata().getFinishReason()).isEqualTo("LENGTH");
          budget[0] = context.getBean(Host.class).budget();
          assertThat(budget[0].total()).isEqualTo(256L << 20);
          assertThat(budget[0].used()).isPositive();
        });
    assertThat(budget[0].used()).isZero();
  }

  @Test
  void twoModelsShareOneBudget() {
    Path vectors = TestData.path("models/minilm/all-MiniLM-L6-v2-q8_0.gguf");
    chatting()
        .withPropertyValues(
            PREFIX + "embedding.model=" + vectors, PREFIX + "embedding.dimensions=16")
        .run(context -> {
          Budget budget = context.getBean(Host.class).budget();
          assertThat(context.getBean(Embedder.class).budget()).isSameAs(budget);
          assertThat(context.getBean(Knapsack.class).budget()).isSameAs(budget);
          assertThat(context.getBean(EmbeddingModel.class).embed("a")).hasSize(16);
          assertThat(context.getBean(ChatModel.class).call("hello")).startsWith("Hello!");
        });
  }

  @Test
  void anotherModelIsChosen() {
    chatting()
        .withPropertyValues("spring.ai.model.chat=openai")
        .withBean(ChatModel.class, () -> prompt -> null)
        .run(context -> assertThat(context).doesNotHaveBean(Knapsack.class));
    chatting()
        .withPropertyValues("spring.ai.model.chat=knapsack")
        .run(context ->
            assertThat(context).hasSingleBean(KnapsackChatModel.class)
                .doesNotHaveBean(KnapsackEmbeddingModel.class));
  }

  @Test
  void aHostOfOnesOwnIsUsed() {
    Host own = new Host(Budget.of("300MiB"), Host.Options.usual().withCache(folder));
    chatting()
        .withBean(Host.class, () -> own)
        .run(context ->
            assertThat(context.getBean(Knapsack.class).budget()).isSameAs(own.budget()));
  }

  @Test
  void healthSaysWhatIsUsed() {
    chatting()
        .run(context -> {
          HealthIndicator indicator = context.getBean(HealthIndicator.class);
          assertThat(indicator.health().getStatus()).isEqualTo(Status.UP);
          Budget budget = context.getBean(Host.class).budget();
          assertThat(indicator.health().getDetails())
              .containsEntry("budget", budget.total())
              .containsEntry("used", budget.used())
              .containsKeys("free", "peak", "resident");
          context.getBean(KnapsackShutdown.class).stop();
          assertThat(indicator.health().getStatus()).isEqualTo(Status.OUT_OF_SERVICE);
        });
    chatting()
        .withPropertyValues("management.health.knapsack.enabled=false")
        .run(context -> assertThat(context).doesNotHaveBean(HealthIndicator.class));
  }

  @Test
  void withoutActuatorThereIsNeitherHealthNorMetrics() {
    chatting()
        .withClassLoader(
            new FilteredClassLoader(
                "org.springframework.boot.health", "io.micrometer.core.instrument"))
        .run(context ->
            assertThat(context).hasNotFailed().hasSingleBean(KnapsackChatModel.class)
                .doesNotHaveBean("knapsackHealthIndicator")
                .doesNotHaveBean("knapsackMetrics"));
  }

  @Test
  void metricsHaveTheNamesOfTheServers() {
    chatting()
        .withBean(
            MeterRegistry.class, () -> new PrometheusMeterRegistry(PrometheusConfig.DEFAULT))
        .run(context -> {
          var registry = (PrometheusMeterRegistry) context.getBean(MeterRegistry.class);
          context.getBean(KnapsackMetrics.class).bindTo(registry);
          context.getBean(ChatModel.class).call("hello");
          Budget budget = context.getBean(Host.class).budget();
          budget.account("late");
          registry.scrape();
          String shown = registry.scrape();
          assertThat(shown)
              .contains(
                  "knapsack_budget_bytes 2.68435456E8",
                  "knapsack_resident_bytes ",
                  "knapsack_account_bytes{account=\"late\"} 0.0",
                  "knapsack_ladder_given_back_bytes_total{rung=\"drop_prefixes\"} ",
                  "knapsack_ladder_events_total{rung=\"drop_prefixes\"} ",
                  "knapsack_running{model=\"scripted\"} ",
                  "knapsack_waiting{model=\"scripted\"} 0.0",
                  "knapsack_prompt_tokens_total{model=\"scripted\"} ",
                  "knapsack_cached_prompt_tokens_total{model=\"scripted\"} ",
                  "knapsack_generated_tokens_total{model=\"scripted\"} ");
          double written =
              registry.get("knapsack.generated.tokens").functionCounter().count();
          assertThat(written)
              .isEqualTo(context.getBean(KnapsackChatModel.class).totals().generatedTokens());
          double bytes =
              registry.get("knapsack.account").tag("account", "weights").gauge().value();
          assertThat(bytes).isEqualTo((double) budget.account("weights").own()).isPositive();
        });
  }

  @Test
  void answersEndBeforeTheProgramDoes() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch ended = new CountDownLatch(1);
    StringBuilder told = new StringBuilder();
    chatting()
        .run(context -> {
          context
              .getBean(KnapsackChatModel.class)
              .stream(new Prompt("a long story"))
              .doOnError(told::append)
              .doFinally(_ -> ended.countDown())
              .subscribe(piece -> {
                told.append(piece.getResult().getOutput().getText());
                begun.countDown();
              });
          begun.await();
        });
    ended.await();
    assertThat(told.toString()).isEqualTo(STORY);
  }

  private static FailureAnalysis analysis(AssertableApplicationContext context, String memory) {
    MockEnvironment environment =
        new MockEnvironment().withProperty(PREFIX + "memory", memory);
    return new KnapsackFailureAnalyzer(environment).analyze(context.getStartupFailure());
  }

  @Test
  void aModelThatDoesNotFitFailsWithWhatWould() {
    chatting()
        .withPropertyValues(PREFIX + "memory=8MiB", PREFIX + "chat.context=4096")
        .run(context -> {
          FailureAnalysis analysis = analysis(context, "8MiB");
          assertThat(analysis.getDescription()).contains("could not be opened").contains("MiB");
          assertThat(analysis.getAction())
              .matches("Set spring.ai.knapsack.memory to [0-9,]+MiB or more.*");
          String enough = analysis.getAction().replaceAll(".* to ([0-9,]+MiB) or more.*", "$1");
          chatting()
              .withPropertyValues(
                  PREFIX + "memory=" + enough.replace(",", ""), PREFIX + "chat.context=4096")
              .run(again -> assertThat(again).hasNotFailed());
        });
  }

  @Test
  void aFileThatIsNotThereIsSaid() {
    chatting()
        .withPropertyValues(PREFIX + "chat.model=" + folder.resolve("none.gguf"))
        .run(context -> {
          FailureAnalysis analysis = analysis(context, "256MiB");
          assertThat(analysis.getDescription()).contains("none.gguf");
          assertThat(analysis.getAction()).contains("spring.ai.knapsack.chat.model");
        });
  }

  @Test
  void memoryThatIsNotNamedIsSaid() {
    starter()
        .withPropertyValues(PREFIX + "chat.model=" + chat)
        .run(context ->
            assertThat(context.getStartupFailure())
                .rootCause()
                .isInstanceOf(InvalidConfigurationPropertyValueException.class)
                .hasMessageContaining(PREFIX + "memory"));
    chatting()
        .withPropertyValues(PREFIX + "memory=much")
        .run(context ->
            assertThat(context.getStartupFailure())
                .rootCause()
                .isInstanceOf(InvalidConfigurationPropertyValueException.class)
                .hasMessageContaining("much"));
  }

  @Test
  void analyzersAreFound() throws Exception {
    String factories =
        Files.readString(
            Path.of(
                KnapsackAutoConfiguration.class
                    .getResource("/META-INF/spring.factories")
                    .toURI()));
    assertThat(factories).contains(KnapsackFailureAnalyzer.class.getName());
  }

  /** Metadata are written by an annotation processor, from the Javadoc of the properties. */
  @Test
  void propertiesAreDescribed() throws Exception {
    URI home =
        KnapsackProperties.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    List<String> undescribed = new ArrayList<>();
    List<String> names = new ArrayList<>();
    for (JsonNode property :
        JsonMapper.shared()
            .readTree(Path.of(home).resolve("META-INF/spring-configuration-metadata.json"))
            .get("properties")) {
      names.add(property.get("name").asString());
      if (!property.has("description")) {
        undescribed.add(names.getLast());
      }
    }
    assertThat(names)
        .contains(
            PREFIX + "memory",
            PREFIX + "chat.model",
            PREFIX + "chat.options.max-tokens",
            PREFIX + "embedding.retrieval");
    assertThat(undescribed).isEmpty();
  }
}
