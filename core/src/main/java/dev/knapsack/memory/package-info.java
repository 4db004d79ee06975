/** Sources of native memory: budgets, accounts, leases and slabs. */
@NullMarked
package dev.knapsack.memory;

import org.jspecify.annotations.NullMarked;
