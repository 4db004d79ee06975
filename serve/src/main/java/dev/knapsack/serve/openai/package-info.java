/** OpenAI's API: chat and text completions, responses, models. */
@NullMarked
package dev.knapsack.serve.openai;

import org.jspecify.annotations.NullMarked;
