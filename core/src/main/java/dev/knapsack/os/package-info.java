/**
 * The operating system: pages of memory, code that can be executed, reads past the page cache, and
 * the footprint of this process as the kernel counts it.
 */
@NullMarked
package dev.knapsack.os;

import org.jspecify.annotations.NullMarked;
