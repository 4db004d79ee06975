/** Files of requests answered offline, in the order in which they cost least. */
@NullMarked
package dev.knapsack.serve.batch;

import org.jspecify.annotations.NullMarked;
