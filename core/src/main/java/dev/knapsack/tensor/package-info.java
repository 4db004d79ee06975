/** What a number is and how a block of numbers is stored: one class a format. */
@NullMarked
package dev.knapsack.tensor;

import org.jspecify.annotations.NullMarked;
