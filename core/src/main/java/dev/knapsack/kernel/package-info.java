/**
 * The arithmetic of one step in a few parts (products, operations on rows, activations, attention),
 * which several providers have code for, and the worker team that runs it.
 */
@NullMarked
package dev.knapsack.kernel;

import org.jspecify.annotations.NullMarked;
