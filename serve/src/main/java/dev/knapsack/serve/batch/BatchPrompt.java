package dev.knapsack.serve.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * The part of one of its lines that the order of a batch depends on.
 *
 * @param line its place in the file, from 0
 * @param blocks a number for each whole page of the prompt and all pages before it: prompts whose
 *     numbers are equal up to one begin with the same tokens up to there
 * @param heavy tokens that its answer may have at the most
 */
record BatchPrompt(int line, long[] blocks, long heavy) {
  /** The numbers of a prompt's pages. */
  static long[] blocks(int[] tokens, int pageTokens) {
    long[] blocks = new long[tokens.length / pageTokens];
    long number = 0;
    for (int i = 0; i < blocks.length * pageTokens; i++) {
      number = (number + tokens[i] + 1) * 0x9e3779b97f4a7c15L;
      number ^= number >>> 29;
      if (i % pageTokens == pageTokens - 1) {
        blocks[i / pageTokens] = number;
      }
    }
    return blocks;
  }

  /** Pages that two prompts have in common from their beginning. */
  int shared(BatchPrompt other) {
    int at = Arrays.mismatch(blocks, other.blocks);
    return at < 0 ? blocks.length : at;
  }

  /**
   * The order in which prompts that share their beginnings come one after another: that of a walk
   * through the tree of their beginnings, deep before wide. Of the branches at a node, and so of
   * the groups that share nothing, the one with the longest answer goes first: what takes longest
   * does not begin when all else has ended.
   */
  static List<BatchPrompt> ordered(List<BatchPrompt> prompts) {
    List<BatchPrompt> sorted = new ArrayList<>(prompts);
    sorted.sort(
        Comparator.<BatchPrompt, long[]>comparing(BatchPrompt::blocks, Arrays::compare)
            .thenComparingInt(BatchPrompt::line));
    List<BatchPrompt> order = new ArrayList<>();
    walk(sorted, 0, order);
    return order;
  }

  /** Adds sorted prompts that have so many pages in common, from the heaviest branch on. */
  private static void walk(List<BatchPrompt> sorted, int depth, List<BatchPrompt> order) {
    List<List<BatchPrompt>> branches = new ArrayList<>();
    int begin = 0;
    for (int i = 1; i <= sorted.size(); i++) {
      if (i == sorted.size() || sorted.get(begin).shared(sorted.get(i)) <= depth) {
        branches.add(sorted.subList(begin, i));
        begin = i;
      }
    }
    branches.sort(Comparator.comparingLong(BatchPrompt::heaviest).reversed());
    for (List<BatchPrompt> branch : branches) {
      if (branch.size() == 1) {
        order.add(branch.getFirst());
      } else {
        // Sorted as they are, the first and the last have least in common.
        walk(branch, branch.getFirst().shared(branch.getLast()), order);
      }
    }
  }

  private static long heaviest(List<BatchPrompt> branch) {
    return branch.stream().mapToLong(BatchPrompt::heavy).max().orElse(0);
  }
}
