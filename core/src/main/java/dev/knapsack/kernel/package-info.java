/**
 * The arithmetic of one step, behind one interface with several providers, and the worker team that
 * runs it.
 */
@NullMarked
package dev.knapsack.kernel;

import org.jspecify.annotations.NullMarked;
