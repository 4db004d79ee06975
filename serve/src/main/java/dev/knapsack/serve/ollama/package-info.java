/** Ollama's API, as far as it is about answers and the models that there are. */
@NullMarked
package dev.knapsack.serve.ollama;

import org.jspecify.annotations.NullMarked;
