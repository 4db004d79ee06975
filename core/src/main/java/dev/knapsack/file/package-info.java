/** Model files as they are on the hub: GGUF, safetensors, downloads; reading and writing. */
@NullMarked
package dev.knapsack.file;

import org.jspecify.annotations.NullMarked;
