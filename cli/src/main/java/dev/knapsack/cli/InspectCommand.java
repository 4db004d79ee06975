package dev.knapsack.cli;

import com.google.gson.stream.JsonWriter;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack inspect}: what a model file says of itself. */
@Command(
    name = "inspect",
    sortOptions = false,
    description = "Shows what a model file holds: its metadata, its tensors, its bytes by format.",
    footer = {"", "  knapsack inspect model.gguf --tensors"})
final class InspectCommand implements Callable<Integer> {
  private static final int SHOWN = 8;

  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Option(names = "--tensors", description = "List every tensor.")
  private boolean tensors;

  @Option(names = "--json", description = "Print everything as JSON.")
  private boolean json;

  InspectCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (ModelFile file = ModelFile.open(model.path())) {
      if (json) {
        writeJson(file, environment.streams().out());
      } else {
        print(file, environment.streams().out());
      }
    }
    return 0;
  }

  private void print(ModelFile file, PrintStream out) {
    out.println(file.path());
    file.metadata().all().forEach((key, value) -> out.printf("  %-44s %s%n", key, brief(value)));
    Map<String, long[]> formats = new TreeMap<>();
    long bytes = 0;
    long values = 0;
    for (TensorInfo tensor : file.tensors().values()) {
      long[] sum = formats.computeIfAbsent(tensor.format().name(), _ -> new long[2]);
      sum[0]++;
      sum[1] += tensor.bytes();
      bytes += tensor.bytes();
      values += tensor.values();
      if (tensors) {
        out.printf("  %-44s %-8s %s%n", tensor.name(), tensor.format().name(), shape(tensor));
      }
    }
    formats.forEach((format, sum) ->
        out.printf("  %-8s %5d tensors  %s%n", format, sum[0], Budget.formatSize(sum[1])));
    out.printf(
        "  %,d parameters in %d tensors, %s%n",
        values, file.tensors().size(), Budget.formatSize(bytes));
  }

  private void writeJson(ModelFile file, PrintStream out) throws IOException {
    JsonWriter writer = new JsonWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8));
    writer.setIndent("  ");
    writer.beginObject().name("path").value(file.path().toString()).name("metadata").beginObject();
    for (Map.Entry<String, Object> entry : file.metadata().all().entrySet()) {
      writer.name(entry.getKey());
      write(writer, entry.getValue());
    }
    writer.endObject().name("tensors").beginArray();
    for (TensorInfo tensor : file.tensors().values()) {
      writer.beginObject();
      writer
          .name("name")
          .value(tensor.name())
          .name("format")
          .value(tensor.format().name())
          .name("shape");
      write(writer, tensor.shape());
      writer.name("bytes").value(tensor.bytes()).endObject();
    }
    writer.endArray().endObject().flush();
    out.println();
  }

  private static void write(JsonWriter writer, Object value) throws IOException {
    switch (value) {
      case List<?> list -> {
        writer.beginArray();
        for (Object element : list) {
          write(writer, element);
        }
        writer.endArray();
      }
      case Boolean flag -> writer.value(flag);
      case Double real when !Double.isFinite(real) -> writer.value(real.toString());
      case Number number -> writer.value(number);
      default -> writer.value(value.toString());
    }
  }

  private static String brief(Object value) {
    String text =
        value instanceof List<?> list
            ? list.stream()
                    .limit(SHOWN)
                    .map(InspectCommand::quoted)
                    .collect(Collectors.joining(", ", "[", ""))
                + (list.size() > SHOWN ? ", … " + list.size() + " in all]" : "]")
            : quoted(value);
    return text.length() > 120 ? text.substring(0, 117) + "…" : text;
  }

  private static String quoted(Object value) {
    return value instanceof String s
        ? '"' + s.replace("\n", "\\n").replace("\r", "\\r") + '"'
        : String.valueOf(value);
  }

  private static String shape(TensorInfo tensor) {
    return tensor.shape().stream().map(String::valueOf).collect(Collectors.joining(" × "));
  }
}
