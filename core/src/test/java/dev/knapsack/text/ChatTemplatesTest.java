package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.TemplateException;
import dev.knapsack.file.TemplateSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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
  void aTemplateThatIsNoneIsAnErrorForWhoAsksForIt() {
    ChatTemplates all = templates("default", "D", "tool_use", "line 1\r\n{{ 'x' }}{% for %}");
    assertThat(all.usual(false).source()).isEqualTo("D");
    for (int again = 0; again < 2; again++) {
      assertThatThrownBy(() -> all.usual(true))
          .isInstanceOfSatisfying(
              TemplateException.class,
              e -> assertThat(List.of(e.line(), e.column())).isEqualTo(List.of(2, 17)))
          .hasMessage("m.gguf: tool_use, line 2, column 17: expected a name, found '%}'");
    }
    TemplateSource unreadable = new TemplateSource("default", "d/x.json: key", null, "is no text");
    assertThatThrownBy(() -> ChatTemplates.of(List.of(unreadable)).usual(false))
        .isInstanceOf(TemplateException.class)
        .hasMessage("d/x.json: key: is no text");
  }

  @Test
  void whatFailsWhileATemplateWritesSaysWhere() {
    ChatTemplate template =
        templates("default", "{{ 'a' }}\n {% if true %}{{ 1 + 'a' }}{% endif %}").usual(false);
    assertThatThrownBy(
            () -> template.render(new ChatTemplate.Input(List.of(), null, "", "", true, Map.of())))
        .isInstanceOf(TemplateException.class)
        .hasMessageStartingWith("m.gguf: default, line 2, column 15: unsupported operand");
  }

  @Test
  void withoutOneForToolsOrADefaultAnotherIsTaken() {
    assertThat(templates("default", "D", "rag", "R").usual(true).source()).isEqualTo("D");
    assertThat(templates("rag", "R", "b", "B").usual(false).source()).isEqualTo("R");
    assertThat(templates().isEmpty()).isTrue();
    assertThat(templates("default", "").isEmpty()).isTrue();
    assertThat(templates().usual(true).source()).isEqualTo(ChatTemplate.chatMl().source());
  }
}
