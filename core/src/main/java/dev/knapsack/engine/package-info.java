/**
 * Running sequences: scheduling, sampling, weight residency, and the answer as a stream of text.
 */
@NullMarked
package dev.knapsack.engine;

import org.jspecify.annotations.NullMarked;
