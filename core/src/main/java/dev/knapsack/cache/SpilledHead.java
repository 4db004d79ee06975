package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;

/** The tokens of one KV head that are on disk, one head at a time: as stores move them. */
final class SpilledHead {
  private final KvCache cache;
  private final int layer;
  private final int head;
  private final HeadPages pages;

  /** Blocks of this head that are on disk: while a sequence is put back, others have fewer. */
  private int blocks;

  SpilledHead(KvCache cache, int layer, int head, HeadPages pages) {
    this.cache = cache;
    this.layer = layer;
    this.head = head;
    this.pages = pages;
    this.blocks = cache.spilledTokens() / cache.layout().diskBlock();
  }

  /** Tokens on disk. */
  int tokens() {
    return blocks * cache.layout().diskBlock();
  }

  /**
   * Copies tokens out as {@link HeadPages#copyOut} does.
   *
   * @param from the first of them; not all need be on disk
   * @return how many of {@code tokens} were
   */
  int read(int from, int tokens, MemorySegment into, long at) {
    KvLayout.Form form = pages.form();
    int block = cache.layout().diskBlock();
    int end = Math.min(from + tokens, tokens());
    long to = at;
    for (int i = from; i < end; i++) {
      MemorySegment memory = cache.spilled().head(layer, i / block, head);
      long page = i % block / form.pageTokens() * form.pageBytes();
      int slot = i % form.pageTokens();
      MemorySegment.copy(memory, page + form.key(slot), into, to, form.keyBytes());
      to += form.keyBytes();
      MemorySegment.copy(memory, page + form.value(slot), into, to, form.valueBytes());
      to += form.valueBytes();
    }
    return Math.max(0, end - from);
  }

  /** Adds tokens as {@link HeadPages#copyIn} does; what is too many for memory goes to disk. */
  void add(int tokens, MemorySegment from, long at) {
    int most = cache.layout().resident() + cache.layout().diskBlock();
    long bytes = pages.form().keyBytes() + pages.form().valueBytes();
    for (int done = 0; done < tokens; ) {
      int n = Math.min(tokens - done, most - pages.count());
      pages.reserve(tokens() + pages.count(), n);
      pages.copyIn(n, from, at + done * bytes);
      done += n;
      if (pages.count() == most) {
        cache.spilled().addHead(layer, blocks++, head, pages);
      }
    }
  }
}
