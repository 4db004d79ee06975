/**
 * Languages that answers are held to: terms, derived byte by byte, and the tokens that they allow.
 */
@NullMarked
package dev.knapsack.constraint;

import org.jspecify.annotations.NullMarked;
