package dev.knapsack.cli;

import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.eval.Perplexity;
import dev.knapsack.eval.Text;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.arch.Families;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack eval perplexity}: how well a model predicts a text. */
@Command(
    name = "perplexity",
    sortOptions = false,
    description =
        "Measures how well a model predicts a text: in passages of the context's length, each"
            + " scored in its second half, as llama.cpp does.",
    footer = {
      "",
      "  knapsack eval perplexity model.gguf wiki.test.raw",
      "  knapsack eval perplexity model.gguf text.txt --context 256 --kv-format q8_0",
    })
final class EvalPerplexityCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Parameters(index = "1", paramLabel = "FILE", description = "A text in UTF-8.")
  private Path file = Path.of("");

  @Option(
      names = "--bytes",
      paramLabel = "N",
      description = "Read no more than the first N bytes of the text.")
  private long bytes = Long.MAX_VALUE;

  @Option(names = "--json", description = "Print one JSON line.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  EvalPerplexityCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path path = engine.path(model);
    Text text = Text.read(file, bytes);
    engine.useContext(usualContext(path));
    try (Knapsack knapsack = engine.open(path)) {
      int context = knapsack.plan().context();
      Perplexity measured = Perplexity.of(knapsack, text, context, environment.counter("read"));
      print(knapsack, measured, text);
    }
    return 0;
  }

  /** Tokens of a passage if the user does not say. */
  static int usualContext(Path model) {
    try (ModelFile header = ModelFile.open(model)) {
      return Math.min(Perplexity.USUAL_CONTEXT, Families.spec(header).context());
    }
  }

  private void print(Knapsack knapsack, Perplexity measured, Text text) {
    if (!json) {
      environment
          .streams()
          .out()
          .printf(
              Locale.ROOT,
              "perplexity %.4f of %s by %s: %,d tokens, %,d passages of %,d, %,d scored; cache in"
                  + " %s%n",
              measured.value(),
              text.name(),
              knapsack.plan().model(),
              measured.tokens(),
              measured.passages(),
              measured.context(),
              measured.scored(),
              knapsack.engine().kvLayout().keyFormat().name());
      return;
    }
    JsonObject line = new JsonObject();
    line.addProperty("model", knapsack.plan().model());
    line.addProperty("text", text.name());
    line.addProperty("keyFormat", knapsack.engine().kvLayout().keyFormat().name());
    line.addProperty("valueFormat", knapsack.engine().kvLayout().valueFormat().name());
    line.addProperty("perplexity", measured.value());
    line.addProperty("natsPerToken", measured.nats());
    line.addProperty("tokens", measured.tokens());
    line.addProperty("context", measured.context());
    line.addProperty("passages", measured.passages());
    line.addProperty("scored", measured.scored());
    environment.streams().out().println(line);
  }
}
