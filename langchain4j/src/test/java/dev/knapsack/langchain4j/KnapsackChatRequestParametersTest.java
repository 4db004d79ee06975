package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Overflow;
import dev.knapsack.plan.Plan;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class KnapsackChatRequestParametersTest {
  private static final KnapsackChatRequestParameters ALL =
      KnapsackChatRequestParameters.builder()
          .temperature(0.5)
          .stopSequences("stop")
          .seed(7L)
          .minP(0.1)
          .repetitionPenalty(1.1)
          .penaltyWindow(50)
          .logitBias(Map.of(3, -1f))
          .constraint(new Constraint.Regex("[a-z]*"))
          .strictTools(true)
          .parallelToolCalls(false)
          .thinking(true)
          .reasoningEffort("low")
          .cache(Plan.Cache.parse("f16", "full"))
          .overflow(new Overflow.Shift(4))
          .timeout(Duration.ofSeconds(3))
          .tenant("ada")
          .priority(2)
          .build();

  @Test
  void whatIsNotSaidIsAsBefore() {
    ChatRequestParameters none = ChatRequestParameters.builder().build();
    assertThat(ALL.overrideWith(none)).isEqualTo(ALL).hasSameHashCodeAs(ALL);
    assertThat(ALL.defaultedBy(none)).isEqualTo(ALL);
    assertThat(ALL.overrideWith(KnapsackChatRequestParameters.EMPTY)).isEqualTo(ALL);
    assertThat(KnapsackChatRequestParameters.EMPTY.overrideWith(ALL)).isEqualTo(ALL);
    assertThat(KnapsackChatRequestParameters.EMPTY).isNotEqualTo(ALL);
    // LangChain4j merges plain parameters with these, too.
    assertThat(none.overrideWith(ALL)).isEqualTo(ALL);
    assertThat(none.defaultedBy(ALL)).isEqualTo(ALL);
  }

  @Test
  void whatIsSaidCounts() {
    KnapsackChatRequestParameters other =
        KnapsackChatRequestParameters.builder()
            .topK(4)
            .seed(8L)
            .tenant("bob")
            .thinking(false)
            .build();
    KnapsackChatRequestParameters both = ALL.overrideWith(other);
    assertThat(both).isEqualTo(other.defaultedBy(ALL));
    assertThat(both.topK()).isEqualTo(4);
    assertThat(both.temperature()).isEqualTo(0.5);
    assertThat(both.stopSequences()).isEqualTo(List.of("stop"));
    assertThat(both.seed()).isEqualTo(8);
    assertThat(both.tenant()).isEqualTo("bob");
    assertThat(both.priority()).isEqualTo(2);
    assertThat(both.templateVariables())
        .isEqualTo(Map.of("enable_thinking", false, "reasoning_effort", "low"));
  }
}
