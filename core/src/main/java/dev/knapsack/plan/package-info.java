/** Plans of a budget as values: who gets which bytes, and what was chosen among what. */
@NullMarked
package dev.knapsack.plan;

import org.jspecify.annotations.NullMarked;
