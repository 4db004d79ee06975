package dev.knapsack.springboot;

import dev.knapsack.host.Host;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;

/** The health of Knapsack's models, in programs with Actuator. */
@AutoConfiguration(after = KnapsackAutoConfiguration.class)
@ConditionalOnClass({HealthIndicator.class, ConditionalOnEnabledHealthIndicator.class})
@ConditionalOnBean(Host.class)
public class KnapsackHealthAutoConfiguration {
  // The condition is the method's: before those of the class are known, all of them are loaded.
  @Bean
  @ConditionalOnEnabledHealthIndicator("knapsack")
  @ConditionalOnMissingBean(name = "knapsackHealthIndicator")
  HealthIndicator knapsackHealthIndicator(Host host, ObjectProvider<KnapsackShutdown> shutdown) {
    return new KnapsackHealth(host, shutdown.getIfAvailable());
  }
}
