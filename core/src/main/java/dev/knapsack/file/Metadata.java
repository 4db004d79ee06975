package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The key-value pairs of a model's header, typed on request.
 *
 * <p>A missing required key or a value of another type throws {@link ModelFileException} that names
 * the file and the key. Arrays of numbers and of strings stay packed: a vocabulary of 200,000
 * strings costs little more than its bytes.
 */
public interface Metadata {
  boolean has(String key);

  String string(String key);

  long integer(String key);

  double real(String key);

  boolean flag(String key);

  /** An array of integers; a single integer counts as an array of one. */
  long[] integers(String key);

  /** An array of reals; a single real counts as an array of one. */
  float[] reals(String key);

  /** An array of strings, in a list that decodes an entry when it is read. */
  List<String> strings(String key);

  /**
   * All keys in file order, with values as {@code String}, {@code Long} ({@code BigInteger} beyond
   * its range), {@code Double}, {@code Boolean} or {@code List}.
   */
  Map<String, Object> all();

  default Optional<String> findString(String key) {
    return has(key) ? Optional.of(string(key)) : Optional.empty();
  }

  default long integer(String key, long otherwise) {
    return has(key) ? integer(key) : otherwise;
  }

  default double real(String key, double otherwise) {
    return has(key) ? real(key) : otherwise;
  }

  default boolean flag(String key, boolean otherwise) {
    return has(key) ? flag(key) : otherwise;
  }
}
