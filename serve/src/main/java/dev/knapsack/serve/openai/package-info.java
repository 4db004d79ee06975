/** OpenAI's API: chat and text completions, responses, models, files and batches. */
@NullMarked
package dev.knapsack.serve.openai;

import org.jspecify.annotations.NullMarked;
