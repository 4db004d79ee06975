/**
 * Measurements: matrix products alone, the promise of the budget in memory cgroups, other engines
 * on the same file.
 */
@NullMarked
package dev.knapsack.bench;

import org.jspecify.annotations.NullMarked;
