package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which chat templates a directory of the hub and a GGUF file have, and which go before others. */
class HubTemplatesTest {
  @TempDir Path folder;

  private void write(String file, String text) throws IOException {
    Path path = folder.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  /** Texts, and of those that cannot be read the problem, by name. */
  private static Map<String, String> texts(List<TemplateSource> sources) {
    Map<String, String> texts = new LinkedHashMap<>();
    sources.forEach(s -> texts.put(s.name(), s.text() == null ? "! " + s.problem() : s.text()));
    return texts;
  }

  private Map<String, String> found() {
    return texts(HubTemplates.of(folder));
  }

  @Test
  void filesGoBeforeTheProcessorsSettingsAndThoseBeforeTheTokenizers() throws IOException {
    assertThat(found()).isEmpty();
    write("tokenizer_config.json", "{\"chat_template\": \"of the tokenizer\"}");
    assertThat(found()).isEqualTo(Map.of("default", "of the tokenizer"));
    write("chat_template.json", "{\"chat_template\": null}");
    assertThat(found()).isEqualTo(Map.of("default", "of the tokenizer"));
    write("processor_config.json", "{\"a\": [{}], \"chat_template\": \"of the processor\"}");
    assertThat(found()).isEqualTo(Map.of("default", "of the processor"));
    write("chat_template.json", "{\"chat_template\": \"of its own\"}");
    assertThat(found()).isEqualTo(Map.of("default", "of its own"));
    write("chat_template.jinja", "of the file\n");
    assertThat(found()).isEqualTo(Map.of("default", "of the file\n"));
    assertThat(HubTemplates.of(folder).getFirst().place())
        .isEqualTo(folder.resolve("chat_template.jinja").toString());
  }

  @Test
  void severalHaveNames() throws IOException {
    write(
        "tokenizer_config.json",
        """
        {"chat_template": [{"name": "rag", "template": "R"}, {"name": "default", "template": "D"},
         {"name": "tool_use", "template": "T"}, {"name": "a-b/c", "template": "X"}]}
        """);
    assertThat(found())
        .containsExactly(
            Map.entry("default", "D"),
            Map.entry("rag", "R"),
            Map.entry("tool_use", "T"),
            Map.entry("a_b_c", "X"));
    write("additional_chat_templates/tool_use.jinja", "T2");
    write("additional_chat_templates/notes.txt", "no template");
    write("chat_template.jinja", "D2");
    assertThat(found()).containsExactly(Map.entry("default", "D2"), Map.entry("tool_use", "T2"));
    write("chat_template.json", "{\"chat_template\": {\"default\": \"D3\"}}");
    Files.delete(folder.resolve("chat_template.jinja"));
    assertThat(found()).containsExactly(Map.entry("default", "D3"), Map.entry("tool_use", "T2"));
  }

  @Test
  void aListOfItsOwnIsOneOfTemplatesWithNames() throws IOException {
    write(
        "chat_template.json",
        "[{\"name\": \"tool_use\", \"template\": \"T\"},"
            + " {\"name\": \"default\", \"template\": \"D\"}]");
    assertThat(found()).containsExactly(Map.entry("default", "D"), Map.entry("tool_use", "T"));
  }

  @Test
  void whatCannotBeReadSaysSoWhereItIsAskedFor() throws IOException {
    write("chat_template.json", "{\"chat_template\": ");
    assertThat(found()).isEqualTo(Map.of("default", "! cannot be read as JSON"));
    write("chat_template.json", "{\"chat_template\": 5}");
    assertThat(found()).isEqualTo(Map.of("default", "! is neither a text nor a list of texts"));
    write("chat_template.json", "{\"chat_template\": [{\"name\": \"rag\", \"template\": 5}, 5]}");
    assertThat(found())
        .isEqualTo(
            Map.of(
                "rag", "! is no text", "default", "! has an entry without 'name' and 'template'"));
    assertThat(HubTemplates.of(folder).getLast().place())
        .isEqualTo(folder.resolve("chat_template.json") + ": chat_template, 'rag'");
  }

  @Test
  void ggufHasThemUnderItsOwnKeys() throws IOException {
    write(
        "tokenizer_config.json",
        """
        {"chat_template": [{"name": "default", "template": "D"},
         {"name": "tool_use", "template": "T"}]}
        """);
    MetadataBuilder metadata = new MetadataBuilder();
    HubTemplates.put(metadata, HubTemplates.of(folder));
    Path file = Path.of("m.gguf");
    Metadata built = metadata.build(file);
    assertThat(built.string("tokenizer.chat_template")).isEqualTo("D");
    assertThat(built.string("tokenizer.chat_template.tool_use")).isEqualTo("T");
    assertThat(built.strings("tokenizer.chat_templates")).containsExactly("tool_use");
    List<TemplateSource> sources = TemplateSource.of(file, built);
    assertThat(texts(sources))
        .containsExactly(Map.entry("default", "D"), Map.entry("tool_use", "T"));
    assertThat(sources.getLast().place()).isEqualTo("m.gguf: tokenizer.chat_template.tool_use");

    Metadata wrong =
        HandMadeMetadata.of(
            file,
            Map.of(
                "tokenizer.chat_template",
                5,
                "tokenizer.chat_templates",
                List.of("rag", "missing"),
                "tokenizer.chat_template.rag",
                "R"));
    assertThat(texts(TemplateSource.of(file, wrong)))
        .containsExactly(Map.entry("default", "! is no text"), Map.entry("rag", "R"));
  }
}
