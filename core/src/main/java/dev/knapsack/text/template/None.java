package dev.knapsack.text.template;

/**
 * The value {@code none}. Values of a template are {@code None}, {@link Undefined}, {@link
 * Boolean}, {@link Long}, {@link Double}, {@link String}, {@link java.util.List} (of which {@link
 * Tuple} is one), {@link java.util.Map}, {@link Callable}, {@link Namespace} and {@link Loop}; none
 * of them is {@code null}, and lists and maps are never changed once made.
 */
enum None {
  NONE
}
