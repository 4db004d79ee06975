/**
 * A server for models that share one memory budget, with the HTTP APIs that clients already speak.
 */
@NullMarked
package dev.knapsack.serve;

import org.jspecify.annotations.NullMarked;
