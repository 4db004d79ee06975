/**
 * Running sequences: who has one, what a step computes, sampling, weight residency, and answers as
 * channels of events.
 */
@NullMarked
package dev.knapsack.engine;

import org.jspecify.annotations.NullMarked;
