/** Answers for people and programs near the server: tokens, templates, the plan, its health. */
@NullMarked
package dev.knapsack.serve.local;

import org.jspecify.annotations.NullMarked;
