package dev.knapsack.cache;

import java.util.function.IntFunction;

/**
 * The blocks of one sequence as the {@link PrefixTree} shares them: of as many tokens as a page
 * has, in the layout's formats, with a page for each layer and head.
 */
final class SharedBlocks {
  private final KvPool pool;
  private final SequenceText text;

  /** By layer and KV head. */
  private final HeadCache[][] heads;

  SharedBlocks(KvPool pool, SequenceText text, HeadCache[][] heads) {
    this.pool = pool;
    this.text = text;
    this.heads = heads;
  }

  /** The pages that hold a block, by layer and head; -1 where none holds all of it. */
  int[] pages(int block) {
    int[] slabs = new int[pool.blockPages()];
    int i = 0;
    for (HeadCache[] layer : heads) {
      for (HeadCache head : layer) {
        slabs[i++] = head.stored().page(block);
      }
    }
    return slabs;
  }

  /** Holds pages that hold the same block in place of its own, where both are held. */
  void replace(int block, int[] slabs) {
    int i = 0;
    for (HeadCache[] layer : heads) {
      for (HeadCache head : layer) {
        if (slabs[i] >= 0 && head.stored().page(block) >= 0) {
          head.stored().replace(block, slabs[i]);
        }
        i++;
      }
    }
  }

  /**
   * Makes blocks that others hold the beginning of this sequence, and forgets what came after.
   *
   * @param held blocks that are held already; what else is held is forgotten
   * @param to blocks that are held then
   * @param blocks the pages of each; layers with a sliding window need those that the token after
   *     them sees
   */
  void adopt(int held, int to, IntFunction<int[]> blocks) {
    int page = pool.layout().pageTokens();
    int i = 0;
    for (int l = 0; l < heads.length; l++) {
      LayerLayout.Heads layer = pool.layout().heads(l);
      boolean window = layer.window() > 0;
      int from = window ? layer.firstSeen(to * page) / page : held;
      for (HeadCache head : heads[l]) {
        head.truncate(window ? 0 : held * page);
        for (int b = from; b < to; b++) {
          head.stored().adopt(blocks.apply(b)[i], b * page);
        }
        i++;
      }
    }
    text.length(to * page);
  }
}
