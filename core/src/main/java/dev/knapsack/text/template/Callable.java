package dev.knapsack.text.template;

/** A function, method or macro. */
@FunctionalInterface
interface Callable {
  Object call(Arguments arguments, Meter meter);
}
