/**
 * Plans of a budget, who gets which bytes: the machine probe, the cost model, the planner and the
 * plan.
 */
@NullMarked
package dev.knapsack.plan;

import org.jspecify.annotations.NullMarked;
