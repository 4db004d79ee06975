/**
 * The memory of sequences: keys and values in pages, states that layers carry, and beginnings that
 * sequences share.
 */
@NullMarked
package dev.knapsack.cache;

import org.jspecify.annotations.NullMarked;
