package dev.knapsack.springboot;

import dev.knapsack.host.Host;
import dev.knapsack.springai.KnapsackChatModel;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;

/** The metrics of Knapsack's models, in programs with Micrometer's registries. */
@AutoConfiguration(after = KnapsackAutoConfiguration.class)
@ConditionalOnClass(MeterRegistry.class)
@ConditionalOnBean(Host.class)
public class KnapsackMetricsAutoConfiguration {
  @Bean
  @ConditionalOnMissingBean
  KnapsackMetrics knapsackMetrics(Host host, ObjectProvider<KnapsackChatModel> models) {
    return new KnapsackMetrics(host, models.stream().toList());
  }
}
