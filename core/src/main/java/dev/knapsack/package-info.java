/** The door for Java users: open a model inside a budget, chat with it, see its plan. */
@NullMarked
package dev.knapsack;

import org.jspecify.annotations.NullMarked;
