/** Conversations as values: messages of people, models and tools, and the parts they have. */
@NullMarked
package dev.knapsack.message;

import org.jspecify.annotations.NullMarked;
