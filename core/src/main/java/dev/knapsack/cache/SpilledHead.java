package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;

/** The tokens of one KV head that are on disk, one head at a time: as stores move them. */
final class SpilledHead {
  private final KvSpill spill;
  private final int layer;
  private final int head;
  private final HeadTokens inMemory;

  /** Blocks of this head that are on disk: while a sequence is put back, others have fewer. */
  private int blocks;

  SpilledHead(KvSpill spill, int layer, int head, HeadTokens inMemory) {
    this.spill = spill;
    this.layer = layer;
    this.head = head;
    this.inMemory = inMemory;
    this.blocks = spill.tokens() / spill.layout().diskBlock();
  }

  /** Tokens on disk. */
  int tokens() {
    return blocks * spill.layout().diskBlock();
  }

  /**
   * Copies tokens out as {@link HeadTokens#copyOut} does.
   *
   * @param from the first of them; not all need be on disk
   * @return how many of {@code tokens} were
   */
  int read(int from, int tokens, MemorySegment into, long at) {
    HeadForm form = inMemory.form();
    int block = spill.layout().diskBlock();
    int end = Math.min(from + tokens, tokens());
    long to = at;
    for (int i = from; i < end; i++) {
      MemorySegment memory = spill.oldest().head(layer, i / block, head);
      long page = i % block / form.pageTokens() * form.pageBytes();
      form.copyOut(memory, page, i % form.pageTokens(), into, to);
      to += form.tokenBytes();
    }
    return Math.max(0, end - from);
  }

  /** Adds tokens as {@link HeadTokens#copyIn} does; what is too many for memory goes to disk. */
  void add(int tokens, MemorySegment from, long at) {
    int most = spill.layout().resident() + spill.layout().diskBlock();
    long bytes = inMemory.form().tokenBytes();
    for (int done = 0; done < tokens; ) {
      int n = Math.min(tokens - done, most - inMemory.count());
      inMemory.reserve(tokens() + inMemory.count(), n);
      inMemory.copyIn(n, from, at + done * bytes);
      done += n;
      if (inMemory.count() == most) {
        spill.oldest().addHead(layer, blocks++, head, inMemory);
      }
    }
  }
}
