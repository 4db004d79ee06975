package dev.knapsack.kernel;

/**
 * Some query rows and one KV head, and where things lie in the scratch memory: the scores of a
 * chunk, then for each group of queries those queries, their state and their results, then the keys
 * and values of a chunk. Behind them lie, where a span's keys or values are reduced, the queries
 * reduced alike and the results without this span's.
 */
record QueryBlock(
    AttentionShape shape,
    int kvHead,
    int firstPosition,
    int from,
    int to,
    Attention.Scratch scratch) {
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
    return Attention.QUERIES * (shape.keySize() + shape.valueSize()) - Attention.MAX;
  }

  int queries(int group) {
    return Attention.QUERIES * Attention.CHUNK + group * groupSize();
  }

  int results(int group) {
    return queries(group) + Attention.QUERIES * shape.keySize() - Attention.MAX;
  }

  int keys() {
    return queries(Attention.groups(queryCount()));
  }

  int values() {
    return keys() + Attention.CHUNK * shape.keySize();
  }

  int reducedQueries(int group) {
    return values()
        + Attention.CHUNK * shape.valueSize()
        + group * Attention.QUERIES * shape.keySize();
  }

  /** A group's results without this span's, and its maxima then. */
  int otherResults(int group) {
    return reducedQueries(Attention.groups(queryCount()))
        + group * Attention.QUERIES * (shape.valueSize() + 1);
  }

  int otherMax(int group) {
    return otherResults(group) + Attention.QUERIES * shape.valueSize();
  }

  int live(int group) {
    return Math.min(Attention.QUERIES, queryCount() - group * Attention.QUERIES);
  }

  int firstVisible(KvSpan span, int row) {
    return span.firstVisible(shape, firstPosition + row);
  }

  int endVisible(KvSpan span, int row) {
    return span.endVisible(shape, firstPosition + row);
  }
}
