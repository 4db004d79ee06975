/** Makers of plans: the machine's speed, the cost model and the planner. */
@NullMarked
package dev.knapsack.planner;

import org.jspecify.annotations.NullMarked;
