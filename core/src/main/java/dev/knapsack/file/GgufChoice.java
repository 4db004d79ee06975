package dev.knapsack.file;

import java.util.List;
import java.util.function.BiPredicate;
import java.util.function.Function;

/**
 * The GGUF files that a user means who writes {@code FILE} in {@code hf:owner/repo:FILE}.
 *
 * <p>A file's name means that file. How numbers are stored, such as {@code Q6_K}, means the files
 * whose label is exactly that, and never {@code Q6_K_L}. Other words mean the files in whose names
 * they stand.
 */
final class GgufChoice {
  private GgufChoice() {}

  /** The files that are models: where there are others, without what is seldom one. */
  static <T> List<T> models(List<T> files, Function<T, GgufName> name) {
    List<T> models = files.stream().filter(f -> !name.apply(f).isBesideModels()).toList();
    List<T> surely = models.stream().filter(f -> !name.apply(f).isSeldomModel()).toList();
    return surely.isEmpty() ? models : surely;
  }

  /**
   * The files that are meant.
   *
   * @param marked whether {@code Q4_K_XL} may mean {@code UD-Q4_K_XL} where there is none other
   */
  static <T> List<T> meant(
      String wanted, List<T> files, Function<T, GgufName> name, boolean marked) {
    if (GgufName.is(wanted)) {
      GgufName file = new GgufName(wanted);
      List<T> same =
          files.stream().filter(f -> name.apply(f).part(1).equals(file.part(1))).toList();
      return same.isEmpty() ? files.stream().filter(f -> name.apply(f).is(file)).toList() : same;
    }
    List<T> models = models(files, name);
    if (!GgufName.isLabel(wanted)) {
      return matching(models, name, wanted, GgufName::says);
    }
    List<T> labelled = matching(models, name, wanted, GgufName::hasLabel);
    if (labelled.isEmpty() && marked) {
      labelled = matching(models, name, wanted, GgufName::hasMarkedLabel);
    }
    List<T> plain = labelled.stream().filter(f -> name.apply(f).endsWithLabel()).toList();
    return plain.isEmpty() ? labelled : plain;
  }

  private static <T> List<T> matching(
      List<T> files,
      Function<T, GgufName> name,
      String wanted,
      BiPredicate<GgufName, String> matches) {
    return files.stream().filter(f -> matches.test(name.apply(f), wanted)).toList();
  }
}
