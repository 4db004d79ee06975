package dev.knapsack.engine;

/**
 * The work of an engine: what there is now, and all that was done since it was opened.
 *
 * @param running answers that have a sequence
 * @param waiting requests that wait for one
 * @param steps steps that were computed
 * @param runs parts of steps, each for one answer: by steps, the answers in a step
 * @param rows tokens that were computed, of prompts and of answers
 * @param seconds that the steps took
 */
public record Load(int running, int waiting, long steps, long runs, long rows, double seconds) {
  static final Load NONE = new Load(0, 0, 0, 0, 0, 0);

  Load now(int answers, int requests) {
    return new Load(answers, requests, steps, runs, rows, seconds);
  }

  Load after(int itsRuns, int itsRows, double itsSeconds) {
    return new Load(
        running, waiting, steps + 1, runs + itsRuns, rows + itsRows, seconds + itsSeconds);
  }
}
