/**
 * Sources of native memory: budgets, accounts, leases, slabs, direct file reads and footprint
 * probes.
 */
@NullMarked
package dev.knapsack.memory;

import org.jspecify.annotations.NullMarked;
