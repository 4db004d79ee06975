/** Formats of numbers: the storage of a block, one class a format. */
@NullMarked
package dev.knapsack.tensor;

import org.jspecify.annotations.NullMarked;
