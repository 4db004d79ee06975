/** Spring AI's models over the door of Knapsack: chats and vectors in this process, in one budget. */
@NullMarked
package dev.knapsack.springai;

import org.jspecify.annotations.NullMarked;
