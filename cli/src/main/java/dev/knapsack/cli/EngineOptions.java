package dev.knapsack.cli;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Footprint;
import dev.knapsack.plan.Plan;
import dev.knapsack.plan.PlanJson;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say what the model is opened with: the budget, and what is not left to the plan. */
final class EngineOptions {
  @Option(
      names = {"-m", "--memory"},
      paramLabel = "SIZE",
      description =
          "Bytes that the whole process may have resident, such as 2GiB or 768MiB. Default: the"
              + " container's limit or the free memory, less a tenth and at least 64 MiB.")
  private @Nullable String memory;

  @Option(
      names = {"-c", "--ctx"},
      paramLabel = "TOKENS",
      description =
          "Tokens that a conversation may hold (default: what the model was trained for, at most"
              + " 4096).")
  private @Nullable Integer context;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      description = "Sequences that run at once (default: 1).")
  private int sequences = 1;

  @Option(
      names = "--kv-format",
      paramLabel = "FORMAT",
      description =
          "Format of the KV cache: f32, f16, q8_0, q4_0 (default: f16, or less where that does not"
              + " fit).")
  private @Nullable String kvFormat;

  @Option(
      names = "--prefill-chunk",
      paramLabel = "TOKENS",
      description = "Tokens of a prompt in one step (default: planned).")
  private @Nullable Integer prefillChunk;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      description = "Threads that compute (default: one a core).")
  private @Nullable Integer threads;

  @Option(
      names = "--kernels",
      paramLabel = "PROVIDER",
      description = "scalar or vector (default: the fastest that works here).")
  private @Nullable KernelProvider kernels;

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Use this plan, as 'plan --save' wrote it.")
  private @Nullable Path plan;

  /** At least so many sequences, if the user did not ask for more. */
  void useSequences(int count) {
    sequences = Math.max(sequences, count);
  }

  /** So much context, if the user did not ask for another. */
  void useContext(int tokens) {
    if (context == null) {
      context = tokens;
    }
  }

  /** The budget asked for. */
  Budget budget() {
    return memory == null ? Budget.ofBytes(Footprint.defaultBudget()) : Budget.of(memory);
  }

  /** Opens a model within the budget, with a progress bar while it loads. */
  Knapsack open(Path model) throws IOException {
    try (ProgressBar bar = ProgressBar.onStandardError("loading")) {
      return Knapsack.open(model, budget(), options().withProgress(bar::update));
    }
  }

  /** The plan by which {@link #open} would open a model; nothing is loaded. */
  Plan plan(Path model) throws IOException {
    return plan == null ? Knapsack.plan(model, budget(), options()) : readPlan(plan);
  }

  private Options options() throws IOException {
    Options options = Options.usual().withWholeProcess(true).withSequences(sequences);
    if (context != null) {
      options = options.withContext(context);
    }
    if (kvFormat != null) {
      options = options.withCacheFormat(Formats.byName(kvFormat));
    }
    if (prefillChunk != null) {
      options = options.withPrefillChunk(prefillChunk);
    }
    if (threads != null) {
      options = options.withWorkers(threads);
    }
    if (kernels != null) {
      options = options.withKernels(kernels);
    }
    return plan == null ? options : options.withPlan(readPlan(plan));
  }

  private static Plan readPlan(Path file) throws IOException {
    return PlanJson.read(Files.readString(file));
  }
}
