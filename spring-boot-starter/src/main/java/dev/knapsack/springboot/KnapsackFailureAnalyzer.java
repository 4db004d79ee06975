package dev.knapsack.springboot;

import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.memory.Budget;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.core.env.Environment;

/** Says why a program did not start when a model could not be opened, and what would work. */
final class KnapsackFailureAnalyzer extends AbstractFailureAnalyzer<KnapsackException> {
  private static final String MEMORY = "spring.ai.knapsack.memory";
  private static final long MIB = 1 << 20;

  private final Environment environment;

  KnapsackFailureAnalyzer(Environment environment) {
    this.environment = environment;
  }

  @Override
  protected @Nullable FailureAnalysis analyze(Throwable root, KnapsackException cause) {
    String description =
        "A model of Knapsack could not be opened: "
            + Objects.requireNonNullElse(cause.getMessage(), cause.getClass().getSimpleName());
    return new FailureAnalysis(description, action(cause), cause);
  }

  private @Nullable String action(KnapsackException cause) {
    return switch (cause) {
      case PlanDoesNotFitException plan -> roomFor(plan);
      case KnapsackException e ->
          switch (e.kind()) {
            case FILE ->
                "Set spring.ai.knapsack.chat.model or spring.ai.knapsack.embedding.model to a GGUF"
                    + " file, or a directory of safetensors, that is there and can be read.";
            case MEMORY -> "Set %s to more, or leave more free.".formatted(MEMORY);
            case REQUEST, BUSY, DOWNLOAD, CLOSED, INTERRUPTED -> null;
          };
    };
  }

  private String roomFor(PlanDoesNotFitException plan) {
    String named = environment.getProperty(MEMORY, "");
    long all = named.isEmpty() ? plan.leastBudget() : Budget.parseSize(named) + plan.missing();
    String more = "Set %s to %,dMiB or more".formatted(MEMORY, (all + MIB - 1) / MIB);
    return plan.largestContext() == 0
        ? more + "."
        : "%s, or spring.ai.knapsack.chat.context to %d or less."
            .formatted(more, plan.largestContext());
  }
}
