package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;
import java.util.Iterator;
import java.util.List;

/**
 * Query rows of one sequence, the tokens that they meet, and where the result goes.
 *
 * @param rows F32, tokens × (heads · keySize)
 * @param firstPosition where the first row stands; the others follow
 * @param pieces at least one: the spans of each KV head. Of several, such as those that are read
 *     from disk meanwhile, each need be there only until the next is asked for
 * @param divisible whether a long cache may be divided for a single row, which changes how its sums
 *     are rounded: not for a row that is to be what it would be as one of several
 * @param out F32, tokens × (heads · valueSize)
 */
public record Queries(
    Matrix rows, int firstPosition, Iterator<KvSpan[][]> pieces, boolean divisible, Matrix out) {
  /** Rows that meet tokens in one piece; a long cache may be divided. */
  public Queries(Matrix rows, int firstPosition, KvSpan[][] heads, Matrix out) {
    this(rows, firstPosition, List.<KvSpan[][]>of(heads).iterator(), true, out);
  }
}
