package dev.knapsack.text.template;

/**
 * The most that a template may use before it is refused: a template comes with a model file that
 * anyone may have written, so it must not be able to hang the program or fill its heap.
 *
 * @param source characters of the template's source
 * @param nesting levels of brackets and blocks within one another in the source
 * @param depth levels of evaluation within one another: 250 stay below 384 KiB of Java stack
 * @param steps operations evaluated
 * @param space characters made by string operations and output; an element of a list counts as 8
 * @param perInput steps and space added for each character of the conversation
 */
record Limits(int source, int nesting, int depth, long steps, long space, int perInput) {
  static final Limits DEFAULT = new Limits(256 << 10, 64, 250, 10_000_000, 4 << 20, 64);
}
