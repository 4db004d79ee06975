/**
 * The provider whose machine code is written when the process starts, for this processor: a small
 * assembler, a generator for each kind of product, and the page they are written to.
 */
@NullMarked
package dev.knapsack.kernel.x86;

import org.jspecify.annotations.NullMarked;
