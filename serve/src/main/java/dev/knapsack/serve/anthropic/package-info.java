/** Anthropic's API: messages, and counting their tokens. */
@NullMarked
package dev.knapsack.serve.anthropic;

import org.jspecify.annotations.NullMarked;
