/** What a model is: its shape, its weights, and the blocks that compute a step. */
@NullMarked
package dev.knapsack.model;

import org.jspecify.annotations.NullMarked;
