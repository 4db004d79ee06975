/** From text to tokens and back: tokenizers and chat templates. */
@NullMarked
package dev.knapsack.text;

import org.jspecify.annotations.NullMarked;
