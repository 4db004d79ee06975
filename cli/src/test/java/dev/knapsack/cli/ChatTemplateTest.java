package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands on a model with a chat template that is broken, or refuses what is asked. */
class ChatTemplateTest {
  @TempDir Path home;
  private Shell shell;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
  }

  /** The model that tells stories, with a chat template. */
  private Path model(String template) {
    Path path = home.resolve("m.gguf");
    try (ModelFile stories = ModelFile.open(Shell.data("models/stories260K.gguf"));
        GgufWriter writer =
            GgufWriter.create(
                path,
                new MetadataBuilder(stories.metadata())
                    .string("tokenizer.chat_template", template)
                    .build(path),
                stories.tensors().values());
        Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : stories.tensors().values()) {
        MemorySegment bytes = arena.allocate(tensor.bytes());
        stories.read(tensor, 0, bytes);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
    return path;
  }

  @Test
  void aBrokenTemplateStopsOnlyWhatNeedsIt() {
    Path model = model("{{ bos_token }}\n{% for m in messages %}{% frobnicate %}{% endfor %}");
    for (List<Object> line :
        List.<List<Object>>of(
            List.of("inspect", model),
            List.of("tokenize", model, "-p", "a"),
            List.of("plan", model, "--ctx", 64),
            List.of("run", model, "--ctx", 64, "--raw", "-p", "a", "-n", 1),
            List.of("quantize", model, "q8_0", "-o", home.resolve("q.gguf")))) {
      shell.run(line.toArray()).succeeded();
    }
    for (Path file : List.of(model, home.resolve("q.gguf"))) {
      shell
          .run("run", file, "--ctx", 64, "-p", "a")
          .failed(
              4,
              file + ": tokenizer.chat_template, line 2, column 27: ",
              "unknown statement 'frobnicate'",
              "--raw");
    }
  }

  @Test
  void systemGoesBeforeTheQuestionWhereTheTemplateRefusesIt() {
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    String refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('No') }}{% endif %}";
    Shell.Result refused = answer(model(refuses + turns), "--system", "Once");
    String note = "The model's chat template takes no system message";
    assertThat(refused.err()).startsWith(note);
    assertThat(refused.json().getAsJsonArray("notes").get(0).getAsString()).startsWith(note);

    Shell.Result same = answer(model("{{ 'Once\\n\\nupon a time' }}"));
    assertThat(same.err()).isEmpty();
    assertThat(same.json().getAsJsonArray("notes")).isEmpty();
    assertThat(refused.json().get("tokens")).isEqualTo(same.json().get("tokens"));
    assertThat(measured(refused, "promptTokens")).isEqualTo(measured(same, "promptTokens"));
  }

  private Shell.Result answer(Path model, String... more) {
    List<Object> line =
        new ArrayList<>(List.of("run", model, "--ctx", 64, "-n", 4, "--greedy", "--json"));
    line.addAll(List.of("-p", "upon a time"));
    line.addAll(List.of(more));
    return shell.run(line.toArray()).succeeded();
  }

  private static int measured(Shell.Result result, String figure) {
    return result.json().getAsJsonObject("measured").get(figure).getAsInt();
  }

  @Test
  void whatATemplateCallsThatIsNotThereIsSaidToo() {
    Path model = model("{% if messages %}{{ messages | frobnicate }}{% endif %}");
    shell
        .run("run", model, "--ctx", 64, "-p", "a")
        .failed(
            4,
            model + ": tokenizer.chat_template, line 1, column 18: No filter named 'frobnicate'");
    assertThat(shell.run("run", model, "--ctx", 64, "--raw", "-p", "a", "-n", 1).code()).isZero();
  }
}
