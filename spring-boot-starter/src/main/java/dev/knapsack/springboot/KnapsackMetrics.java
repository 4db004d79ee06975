package dev.knapsack.springboot;

import dev.knapsack.Knapsack;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Rung;
import dev.knapsack.springai.KnapsackChatModel;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToDoubleFunction;

/**
 * What a budget's bytes are used for, and the work of models that chat: under the names that
 * Knapsack's server has, as Prometheus sees them.
 */
public final class KnapsackMetrics implements MeterBinder {
  private static final String BYTES = "bytes";

  private final Host host;
  private final List<KnapsackChatModel> models;

  KnapsackMetrics(Host host, List<KnapsackChatModel> models) {
    this.host = host;
    this.models = List.copyOf(models);
  }

  @Override
  public void bindTo(MeterRegistry registry) {
    Accounts accounts = new Accounts(host.budget(), registry);
    Gauge.builder("knapsack.budget", accounts, Accounts::total)
        .baseUnit(BYTES)
        .description("Bytes that may be used.")
        .strongReference(true)
        .register(registry);
    Gauge.builder("knapsack.resident", () -> Host.resident().orElse(0))
        .baseUnit(BYTES)
        .description("Resident set of the process, as the kernel counts it.")
        .register(registry);
    for (Rung rung : Rung.values()) {
      ladder("given.back", rung, Budget.GivenBack::bytes)
          .baseUnit(BYTES)
          .description("Bytes that were given back for others, by rung of the ladder.")
          .register(registry);
      ladder("events", rung, Budget.GivenBack::times)
          .description("Times that a rung of the ladder gave something back.")
          .register(registry);
    }
    models.forEach(model -> bind(model, registry));
  }

  private FunctionCounter.Builder<Budget> ladder(
      String name, Rung rung, ToDoubleFunction<Budget.GivenBack> value) {
    return FunctionCounter.builder(
            "knapsack.ladder." + name,
            host.budget(),
            budget -> value.applyAsDouble(Objects.requireNonNull(budget.givenBack().get(rung))))
        .tag("rung", rung.name().toLowerCase(Locale.ROOT));
  }

  private static void bind(KnapsackChatModel model, MeterRegistry registry) {
    String name = model.knapsack().plan().model();
    Gauge.builder("knapsack.running", model.knapsack(), Knapsack::running)
        .tag("model", name)
        .description("Answers that have a sequence.")
        .register(registry);
    Gauge.builder("knapsack.waiting", model.knapsack(), Knapsack::waiting)
        .tag("model", name)
        .description("Requests that wait for a sequence.")
        .register(registry);
    FunctionCounter.builder(
            "knapsack.prompt.tokens", model, of -> of.totals().promptTokens())
        .tag("model", name)
        .description("Tokens of prompts.")
        .register(registry);
    FunctionCounter.builder(
            "knapsack.cached.prompt.tokens", model, of -> of.totals().cachedTokens())
        .tag("model", name)
        .description("Tokens of prompts that were not computed.")
        .register(registry);
    FunctionCounter.builder(
            "knapsack.generated.tokens", model, of -> of.totals().generatedTokens())
        .tag("model", name)
        .description("Tokens of answers.")
        .register(registry);
  }

  /** The accounts of a budget, which come up as they are first used: whoever reads finds them. */
  private static final class Accounts {
    private final Budget budget;
    private final MeterRegistry registry;
    private final Set<String> known = ConcurrentHashMap.newKeySet();

    Accounts(Budget budget, MeterRegistry registry) {
      this.budget = budget;
      this.registry = registry;
      find();
    }

    private void find() {
      for (Account account : budget.accounts()) {
        if (known.add(account.name())) {
          Gauge.builder("knapsack.account", account, Account::own)
              .tag("account", account.name())
              .baseUnit(BYTES)
              .description("Bytes that an account holds, without its parts.")
              .register(registry);
        }
      }
    }

    double total() {
      find();
      return budget.total();
    }
  }
}
