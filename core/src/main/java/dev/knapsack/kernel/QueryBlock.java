package dev.knapsack.kernel;

/**
 * Some query rows and one KV head, and where things lie in the scratch memory: the scores of a
 * chunk, then for each group of queries those queries, their state and their results, then the keys
 * and values of a chunk. Behind them lie, where a span's keys or values are reduced, the queries
 * reduced alike and the results without this span's.
 */
record QueryBlock(
    AttentionShape shape, int kvHead, int firstPosition, int from, int to, Scratch scratch) {
  int shared() {
    return shape.heads() / shape.kvHeads();
  }

  int queryCount() {
    return (to - from) * shared();
  }

  int row(int query) {
    return from + query / shared();
  }

  int head(int query) {
    return kvHead * shared() + query % shared();
  }

  int groupSize() {
    return ChunkedAttention.QUERIES * (shape.keySize() + shape.valueSize()) - ChunkedAttention.MAX;
  }

  int queries(int group) {
    return ChunkedAttention.QUERIES * ChunkedAttention.CHUNK + group * groupSize();
  }

  int results(int group) {
    return queries(group) + ChunkedAttention.QUERIES * shape.keySize() - ChunkedAttention.MAX;
  }

  int keys() {
    return queries(ChunkedAttention.groups(queryCount()));
  }

  int values() {
    return keys() + ChunkedAttention.CHUNK * shape.keySize();
  }

  int reducedQueries(int group) {
    return values()
        + ChunkedAttention.CHUNK * shape.valueSize()
        + group * ChunkedAttention.QUERIES * shape.keySize();
  }

  /** A group's results without this span's, and its maxima then. */
  int otherResults(int group) {
    return reducedQueries(ChunkedAttention.groups(queryCount()))
        + group * ChunkedAttention.QUERIES * (shape.valueSize() + 1);
  }

  int otherMax(int group) {
    return otherResults(group) + ChunkedAttention.QUERIES * shape.valueSize();
  }

  int live(int group) {
    return Math.min(ChunkedAttention.QUERIES, queryCount() - group * ChunkedAttention.QUERIES);
  }

  int firstVisible(KvSpan span, int row) {
    return span.firstVisible(shape, firstPosition + row);
  }

  int endVisible(KvSpan span, int row) {
    return span.endVisible(shape, firstPosition + row);
  }
}
