/** The model families, one file each, saying only what is different about it. */
@NullMarked
package dev.knapsack.model.arch;

import org.jspecify.annotations.NullMarked;
