package dev.knapsack.text.template;

/**
 * The value {@code none}. Values of a template are {@code None}, {@link Undefined}, {@link
 * Boolean}, {@link Long}, {@link Double}, {@link dev.knapsack.text.MarkedText}, {@link
 * java.util.List} (of which {@link Tuple} and {@link Range} are two), {@link java.util.Map}, {@link
 * DictView}, {@link Generator}, {@link Cycler}, {@link Callable}, {@link Namespace} and {@link
 * Loop}; none of them is {@code null}, and lists and maps are never changed once made.
 */
enum None {
  NONE
}
