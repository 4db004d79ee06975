/**
 * The provider whose machine code is written for this processor when it is first needed: a small
 * assembler, and generators for products, attention and what else is worth it.
 */
@NullMarked
package dev.knapsack.kernel.x86;

import org.jspecify.annotations.NullMarked;
