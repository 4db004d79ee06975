package dev.knapsack.springboot;

import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;

/** The budget's bytes; out of service once the program ends and answers are waited for. */
final class KnapsackHealth implements HealthIndicator {
  private final Host host;
  private final @Nullable KnapsackShutdown shutdown;

  KnapsackHealth(Host host, @Nullable KnapsackShutdown shutdown) {
    this.host = host;
    this.shutdown = shutdown;
  }

  @Override
  public Health health() {
    Budget.Snapshot bytes = host.budget().snapshot();
    Health.Builder health =
        shutdown == null || shutdown.isRunning() ? Health.up() : Health.outOfService();
    health
        .withDetail("budget", bytes.total())
        .withDetail("used", bytes.used())
        .withDetail("free", bytes.free())
        .withDetail("peak", bytes.peak());
    Host.resident().ifPresent(resident -> health.withDetail("resident", resident));
    return health.build();
  }
}
