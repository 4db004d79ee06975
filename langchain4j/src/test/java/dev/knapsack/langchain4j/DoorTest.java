package dev.knapsack.langchain4j;

import dev.knapsack.testing.Door;
import org.junit.jupiter.api.Test;

/** The module knows of Knapsack what a program on the module path could, too. */
class DoorTest {
  @Test
  void onlyWhatTheModuleExportsIsUsed() {
    Door.check(KnapsackChatModel.class);
  }
}
