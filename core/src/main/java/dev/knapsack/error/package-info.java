/** Exceptions that reach a program, of all rooms, under one root. */
@NullMarked
package dev.knapsack.error;

import org.jspecify.annotations.NullMarked;
