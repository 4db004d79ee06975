/** The way back from a model's answer to its parts: text, reasoning, calls of tools. */
@NullMarked
package dev.knapsack.text.answer;

import org.jspecify.annotations.NullMarked;
