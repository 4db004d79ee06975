/** The {@code knapsack} command: one class a subcommand. */
@NullMarked
package dev.knapsack.cli;

import org.jspecify.annotations.NullMarked;
