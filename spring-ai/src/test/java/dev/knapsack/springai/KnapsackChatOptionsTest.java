package dev.knapsack.springai;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.plan.Plan;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.test.options.AbstractChatOptionsTests;

/** Options are values; what is set is kept, copied, and put over what was set before. */
class KnapsackChatOptionsTest
    extends AbstractChatOptionsTests<KnapsackChatOptions, KnapsackChatOptions.Builder> {
  @Override
  protected Class<KnapsackChatOptions> getConcreteOptionsClass() {
    return KnapsackChatOptions.class;
  }

  @Override
  protected KnapsackChatOptions.Builder readyToBuildBuilder() {
    return KnapsackChatOptions.builder()
        .model("m")
        .frequencyPenalty(0.1)
        .maxTokens(2)
        .presencePenalty(0.3)
        .stopSequences(List.of("stop"))
        .temperature(0.4)
        .topK(5)
        .topP(0.6)
        .toolContext(Map.of("who", "me"))
        .toolCallbacks(List.of())
        .seed(7L)
        .minP(0.8)
        .repetitionPenalty(1.1)
        .penaltyWindow(9)
        .logitBias(Map.of(1, 2f))
        .constraint(new Constraint.Json())
        .outputSchema("{}")
        .toolChoice(ToolChoice.NONE)
        .strictTools(true)
        .parallelToolCalls(false)
        .thinking(true)
        .reasoningEffort("low")
        .cache(Plan.Cache.parse("q8_0", "full"))
        .overflow(new Overflow.Stop())
        .timeout(Duration.ofSeconds(1))
        .tenant("t")
        .priority(3);
  }

  static List<Method> values() {
    return Stream.of(KnapsackChatOptions.class, ToolCallingChatOptions.class, ChatOptions.class)
        .flatMap(type -> Arrays.stream(type.getDeclaredMethods()))
        .filter(method -> method.getName().startsWith("get") && !method.isBridge())
        .toList();
  }

  @ParameterizedTest
  @MethodSource("values")
  void eachValueIsKeptWhereverItGoes(Method value) throws Exception {
    KnapsackChatOptions all = readyToBuildBuilder().build();
    KnapsackChatOptions none = KnapsackChatOptions.builder().build();
    Object set = value.invoke(all);
    assertThat(set).isNotNull().isNotEqualTo(value.invoke(none));
    assertThat(value.invoke(all.mutate().build())).isEqualTo(set);
    assertThat(value.invoke(all.mutate().clone().build())).isEqualTo(set);
    assertThat(value.invoke(none.mutate().combineWith(all.mutate()).build())).isEqualTo(set);
    if (!(set instanceof List)) { // what is said twice of stop sequences counts twice
      assertThat(value.invoke(all.mutate().combineWith(none.mutate()).build())).isEqualTo(set);
    }
  }

  @Test
  void aCloneIsItsOwn() {
    KnapsackChatOptions.Builder first = KnapsackChatOptions.builder().seed(1L);
    KnapsackChatOptions.Builder second = first.clone().seed(2L);
    assertThat(first.build().getSeed()).isEqualTo(1);
    assertThat(second.build().getSeed()).isEqualTo(2);
    assertThat(first.build()).isNotEqualTo(second.build());
  }

  @Test
  void optionsOfOthersAreReadAsFarAsTheyGo() {
    KnapsackChatOptions read =
        KnapsackChatOptions.of(
            ToolCallingChatOptions.builder().temperature(0.5).toolContext("a", "b").build());
    assertThat(read.getTemperature()).isEqualTo(0.5);
    assertThat(read.getToolContext()).containsEntry("a", "b");
    assertThat(read.getSeed()).isNull();
  }
}
