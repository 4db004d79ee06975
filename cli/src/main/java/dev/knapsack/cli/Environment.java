package dev.knapsack.cli;

import dev.knapsack.eval.Perplexity;
import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoreSettings;
import java.nio.file.Path;
import java.util.Map;

/**
 * The outside of a command: its standard streams, the variables that it was started with, and the
 * user's home. Commands know the outside by this alone.
 *
 * <p>Files of Knapsack's own lie where the XDG base directory specification says.
 */
record Environment(StandardStreams streams, Map<String, String> variables, Path home) {
  /** The streams, the variables and the home of this process. */
  static Environment ofThisProcess() {
    return new Environment(
        StandardStreams.ofThisProcess(),
        System.getenv(),
        Path.of(System.getProperty("user.home", ".")));
  }

  /**
   * The folder of what can be made again: the embedded model unpacked, the machine's measured
   * speed.
   */
  Path cache() {
    return base("XDG_CACHE_HOME", ".cache");
  }

  /** The folder of what was downloaded or typed: models, the chat's history. */
  Path data() {
    return base("XDG_DATA_HOME", ".local/share");
  }

  /** The models on this machine. */
  ModelStore store() {
    return new ModelStore(StoreSettings.from(variables, home));
  }

  /** Shows how far long work has come, until closed. */
  ProgressBar progress(String what) {
    return new ProgressBar(streams.err(), what, streams.errorIsTerminal());
  }

  /** Counts what long work has done, in one line on a terminal. */
  Perplexity.Progress counter(String verb) {
    return streams.errorIsTerminal()
        ? (done, all) ->
            streams.err().printf("\r%s %,d of %,d%s", verb, done, all, done < all ? "" : "\n")
        : Perplexity.Progress.NONE;
  }

  private Path base(String variable, String otherwise) {
    String value = variables.getOrDefault(variable, "");
    return (value.isBlank() ? home.resolve(otherwise) : Path.of(value)).resolve("knapsack");
  }
}
