/**
 * The kernel provider on the JDK's Vector API; loaded only where the incubator module is present.
 */
@NullMarked
package dev.knapsack.kernel.vector;

import org.jspecify.annotations.NullMarked;
