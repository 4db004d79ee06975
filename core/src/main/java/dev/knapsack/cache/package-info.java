/** The memory of sequences: KV pages, their formats, and the cache that holds them. */
@NullMarked
package dev.knapsack.cache;

import org.jspecify.annotations.NullMarked;
