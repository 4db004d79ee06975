/** Values that requests for text and their answers are made of. */
@NullMarked
package dev.knapsack.generation;

import org.jspecify.annotations.NullMarked;
