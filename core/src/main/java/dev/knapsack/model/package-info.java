/** Models: their shapes, their weights, and the blocks that compute a step. */
@NullMarked
package dev.knapsack.model;

import org.jspecify.annotations.NullMarked;
