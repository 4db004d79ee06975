package dev.knapsack.cli;

import com.google.gson.stream.JsonWriter;
import dev.knapsack.Reranker;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack rerank}: how well documents answer a query. */
@Command(
    name = "rerank",
    sortOptions = false,
    description = "Orders documents by how well they answer a query, with a reranker.",
    footer = {
      "",
      "  knapsack rerank reranker.gguf --query 'Where is the ring?' -i documents.txt --top 5",
    })
final class RerankCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Option(
      names = {"-q", "--query"},
      paramLabel = "TEXT",
      required = true,
      description = "The query.")
  private String query = "";

  @Mixin private final TextInput input;

  @Option(names = "--top", paramLabel = "N", description = "Print the best N alone (default: all).")
  private @Nullable Integer top;

  @Option(names = "--json", description = "Print JSON lines: index, score and document.")
  private boolean json;

  @Mixin private final EngineOptions engine;

  RerankCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.input = new TextInput(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (top != null && top < 1) {
      throw new IllegalArgumentException(
          "The best %,d documents were asked for; give 1 or more.".formatted(top));
    }
    Path path = engine.path(model);
    List<String> documents = new ArrayList<>();
    try (Reranker reranker = engine.open(path, Reranker::open)) {
      input.read(texts -> texts.forEachRemaining(documents::add));
      List<Reranker.Score> scores = reranker.rank(query, documents);
      PrintStream out = environment.streams().out();
      for (Reranker.Score score :
          scores.subList(0, Math.min(scores.size(), top == null ? scores.size() : top))) {
        String document = documents.get(score.index());
        out.println(
            json
                ? line(score, document)
                : String.format(
                    Locale.ROOT, "%9.4f  %4d  %s", score.score(), score.index(), document));
      }
    }
    return 0;
  }

  private static String line(Reranker.Score score, String document) throws IOException {
    StringWriter text = new StringWriter();
    JsonWriter writer = new JsonWriter(text);
    writer.beginObject().name("index").value(score.index()).name("score").value(score.score());
    if (score.cut()) {
      writer.name("cut").value(true);
    }
    writer.name("document").value(document).endObject();
    return text.toString();
  }
}
