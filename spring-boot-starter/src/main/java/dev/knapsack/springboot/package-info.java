/** Knapsack's models in programs of Spring Boot: beans, configuration, health and metrics. */
@NullMarked
package dev.knapsack.springboot;

import org.jspecify.annotations.NullMarked;
