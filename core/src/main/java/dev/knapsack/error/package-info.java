/** The exceptions of all rooms, under one root. */
@NullMarked
package dev.knapsack.error;

import org.jspecify.annotations.NullMarked;
