/**
 * Policies of which tokens a cache keeps: small parts that combine, and recipes that name
 * combinations.
 */
@NullMarked
package dev.knapsack.cache.policy;

import org.jspecify.annotations.NullMarked;
