/** Sequences that outlive the process: their tokens and caches in files. */
@NullMarked
package dev.knapsack.cache.store;

import org.jspecify.annotations.NullMarked;
