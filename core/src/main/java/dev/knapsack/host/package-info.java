/** Home of the models that are open in one process: what they share beside the memory. */
@NullMarked
package dev.knapsack.host;

import org.jspecify.annotations.NullMarked;
