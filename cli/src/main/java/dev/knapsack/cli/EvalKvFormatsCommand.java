package dev.knapsack.cli;

import dev.knapsack.eval.CacheForm;
import dev.knapsack.eval.KvFormatResult;
import dev.knapsack.eval.KvFormats;
import dev.knapsack.eval.KvFormatsReport;
import dev.knapsack.eval.Text;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack eval kv-formats}: what forms of the KV cache cost in quality, and save. */
@Command(
    name = "kv-formats",
    sortOptions = false,
    description =
        "Compares forms of the KV cache with F16: bytes, perplexity, exact answers, divergence of"
            + " the predictions.",
    footer = {
      "",
      "Without a model it takes the one inside, and questions made for it.",
      "",
      "  knapsack eval kv-formats --formats q8_0,q4_0",
      "  knapsack eval kv-formats model.gguf --text wiki.test.raw --bytes 50000 --report out",
      "  knapsack eval kv-formats model.gguf --questions questions.jsonl",
    })
final class EvalKvFormatsCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Mixin private final QuestionOptions asking = new QuestionOptions();

  @Option(
      names = "--text",
      paramLabel = "FILE",
      description =
          "A text in UTF-8 to measure perplexity and divergence along (default: the prompts of the"
              + " questions).")
  private @Nullable Path text;

  @Option(
      names = "--bytes",
      paramLabel = "N",
      description = "Read no more than the first N bytes of the text.")
  private long bytes = Long.MAX_VALUE;

  @Option(
      names = "--formats",
      paramLabel = "FORM",
      split = ",",
      description =
          "Forms to compare with F16: q8_0; q8_0/q4_0 for keys and values apart; after that"
              + " +rotate or +reorder, +recent=64 (default: q8_0,q8_0/q4_0+rotate+recent=64,q4_0).")
  private List<CacheForm> formats = CacheForm.USUAL;

  @Option(
      names = "--report",
      paramLabel = "DIR",
      description = "Write a page with the table and pictures, and the figures as JSON lines.")
  private @Nullable Path report;

  @Option(names = "--json", description = "Print a JSON line for each form.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  EvalKvFormatsCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path path = engine.path(model);
    Optional<Text> along = text == null ? Optional.empty() : Optional.of(Text.read(text, bytes));
    int passage = engine.context().orElseGet(() -> EvalPerplexityCommand.usualContext(path));
    KvFormats work = KvFormats.of(path, asking.of(model, Integer.MAX_VALUE), along, passage);
    List<KvFormatResult> results =
        work.measure(
            formats,
            (form, context) -> engine.open(path, form::apply, context),
            environment.cache(),
            environment.counter("measured"));
    String title = title(path, along);
    KvFormatsReport page = new KvFormatsReport(title, results);
    if (json) {
      environment.streams().out().print(page.jsonLines());
    } else {
      environment.streams().out().printf("%s%n%n%s", title, page.table().text());
    }
    if (report != null) {
      page.write(report);
      environment.streams().err().println("written: " + report.resolve("kv-formats.md"));
    }
    return 0;
  }

  private String title(Path path, Optional<Text> along) {
    String asked = asking.name(model);
    String read = along.map(Text::name).orElse("the prompts of the questions");
    return "%s, along %s%s"
        .formatted(path.getFileName(), read, asked.isEmpty() ? "" : "; asked: " + asked);
  }
}
