package dev.knapsack.eval;

/**
 * A question whose exact answer is known.
 *
 * @param id its name in reports
 * @param prompt the whole prompt with the model's own markers, up to where the answer begins
 * @param answer the exact answer, without blanks around it
 * @param kind what it asks for; empty if it does not matter
 */
public record Question(String id, String prompt, String answer, String kind) {}
