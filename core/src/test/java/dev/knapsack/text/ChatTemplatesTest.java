package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.TemplateSource;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which of a model's chat templates writes a conversation. */
class ChatTemplatesTest {
  private static ChatTemplates templates(String... namesAndTexts) {
    List<TemplateSource> sources = new ArrayList<>();
    for (int i = 0; i < namesAndTexts.length; i += 2) {
      String place = "m.gguf: " + namesAndTexts[i];
      sources.add(new TemplateSource(namesAndTexts[i], place, namesAndTexts[i + 1], ""));
    }
    return ChatTemplates.of(sources);
  }

  @Test
  void toolsAskForTheTemplateOfTools() {
    ChatTemplates all = templates("default", "D", "rag", "R", "tool_use", "T");
    assertThat(all.usual(false).source()).isEqualTo("D");
    assertThat(all.usual(true).source()).isEqualTo("T");
    assertThat(all.named("rag").orElseThrow().source()).isEqualTo("R");
    assertThat(all.named("none")).isEmpty();
    assertThat(all.names()).containsExactly("default", "rag", "tool_use");
  }

  @Test
  void withoutOneForToolsOrADefaultAnotherIsTaken() {
    assertThat(templates("default", "D", "rag", "R").usual(true).source()).isEqualTo("D");
    assertThat(templates("rag", "R", "b", "B").usual(false).source()).isEqualTo("R");
    assertThat(templates().isEmpty()).isTrue();
    assertThat(templates().usual(true).source()).isEqualTo(ChatTemplate.chatMl().source());
  }
}
