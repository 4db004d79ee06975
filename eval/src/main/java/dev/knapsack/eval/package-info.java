/**
 * Measurements of what a choice costs in quality: perplexity, divergence, exact answers, beside the
 * bytes it takes.
 */
@NullMarked
package dev.knapsack.eval;

import org.jspecify.annotations.NullMarked;
