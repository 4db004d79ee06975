/** LangChain4j's models over the door of Knapsack: chats in this process, inside one budget. */
@NullMarked
package dev.knapsack.langchain4j;

import org.jspecify.annotations.NullMarked;
