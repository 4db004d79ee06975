package dev.knapsack.cli;

import dev.knapsack.serve.batch.Batch;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack batch}: a file of requests, answered offline. */
@Command(
    name = "batch",
    sortOptions = false,
    description =
        "Answers a file of requests as OpenAI's batches have them, one a line with custom_id, url"
            + " and body, as fast as the budget allows: prompts that begin alike are read together,"
            + " and results come in the order in which they are there. Run again after it was"
            + " stopped in any way, it goes on where it was.",
    footer = {
      "",
      "  knapsack batch requests.jsonl -o results.jsonl",
      "  knapsack batch requests.jsonl -o results.jsonl --model small=model.gguf --memory 4GiB",
    })
final class BatchCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final EngineOptions engine;

  @Parameters(paramLabel = "REQUESTS", description = "The file of requests.")
  private Path in = Path.of("");

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      required = true,
      description = "File that results are added to.")
  private Path out = Path.of("");

  @Option(
      names = "--errors",
      paramLabel = "FILE",
      description =
          "File for requests that were refused or went wrong (default: that of results, with"
              + " .errors after it).")
  private @Nullable Path errors;

  @Option(
      names = "--model",
      paramLabel = "[NAME=]MODEL",
      description =
          "Models as 'run' takes them, each by the name that requests call it (default: its"
              + " file's); may be given several times. Without any: the small model inside"
              + " Knapsack, knapsack-notes.")
  private List<String> models = List.of();

  BatchCommand(Environment environment) {
    this.environment = environment;
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintStream err = environment.streams().err();
    Path failures = errors == null ? Path.of(out + ".errors") : errors;
    Batch batch = new Batch(in, out, failures, "", true);
    batch.check();
    try (NamedModels named = NamedModels.open(environment, engine, models, err)) {
      Progress progress = new Progress(err, environment.streams().errorIsTerminal());
      Batch.Counts counts = batch.run(named.served(), () -> false, progress::update);
      progress.end(counts, failures);
    }
    return 0;
  }

  /** A line with what is left and how long it takes: redrawn on a terminal, else now and then. */
  private static final class Progress {
    private static final long REDRAW = 200_000_000L;
    private static final long REPEAT = 10_000_000_000L;

    private final PrintStream err;
    private final boolean terminal;
    private final long began = System.nanoTime();
    private long shown = began;
    private int before = -1;

    Progress(PrintStream err, boolean terminal) {
      this.err = err;
      this.terminal = terminal;
    }

    synchronized void update(Batch.Counts counts) {
      int done = counts.completed() + counts.failed();
      if (before < 0) {
        before = done - 1; // of an earlier run
      }
      long now = System.nanoTime();
      if (now - shown < (terminal ? REDRAW : REPEAT)) {
        return;
      }
      shown = now;
      double seconds = (now - began) / 1e9;
      err.print(
          (terminal ? "\r" : "")
              + "%,d of %,d requests, %,d failed, %s left"
                  .formatted(
                      done,
                      counts.total(),
                      counts.failed(),
                      time(seconds / (done - before) * counts.left()))
              + (terminal ? "\u001b[K" : "\n"));
      err.flush();
    }

    synchronized void end(Batch.Counts counts, Path failures) {
      err.printf(
          "%s%,d requests: %,d answered, %,d failed%s; %s%n",
          terminal ? "\r\u001b[K" : "",
          counts.total(),
          counts.completed(),
          counts.failed(),
          counts.failed() > 0 ? " (" + failures + ")" : "",
          time((System.nanoTime() - began) / 1e9));
      err.flush();
    }

    private static String time(double seconds) {
      long whole = Math.round(seconds);
      return whole < 3600
          ? String.format(Locale.ROOT, "%d:%02d", whole / 60, whole % 60)
          : String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    }
  }
}
