/** Budgets of bytes, the accounts that they are divided into, and leases of native memory. */
@NullMarked
package dev.knapsack.memory;

import org.jspecify.annotations.NullMarked;
