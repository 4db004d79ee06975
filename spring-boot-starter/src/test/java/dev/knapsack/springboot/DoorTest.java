package dev.knapsack.springboot;

import dev.knapsack.springai.KnapsackChatModel;
import dev.knapsack.testing.Door;
import org.junit.jupiter.api.Test;

/** The module knows of Knapsack what a program on the module path could, and Spring AI's models. */
class DoorTest {
  @Test
  void onlyWhatTheModuleExportsIsUsed() {
    Door.check(KnapsackAutoConfiguration.class, KnapsackChatModel.class);
  }
}
