package dev.knapsack.langchain4j;

import dev.knapsack.Knapsack;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Budget;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** The model that the command line has inside, with a template by which it can call tools. */
final class NotesModel {
  private static final Path FILE =
      Path.of(
          System.getProperty("knapsack.root"),
          "cli/src/main/resources/dev/knapsack/cli/notes-2.6m-q8_0.gguf");

  private NotesModel() {}

  static Knapsack open(Path folder) {
    Path target = folder.resolve("calling.gguf");
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    try (ModelFile notes = ModelFile.open(FILE);
        Arena arena = Arena.ofConfined();
        GgufWriter writer =
            GgufWriter.create(
                target,
                new MetadataBuilder(notes.metadata())
                    .string("tokenizer.chat_template", "{{ tools }}<tool_call>" + turns)
                    .build(target),
                notes.tensors().values())) {
      for (TensorInfo tensor : notes.tensors().values()) {
        MemorySegment bytes = arena.allocate(tensor.bytes());
        notes.read(tensor, 0, bytes);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
    return Knapsack.open(target, Budget.of("256MiB"));
  }
}
