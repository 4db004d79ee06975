package dev.knapsack.file;

import java.util.List;
import java.util.regex.Matcher;

/**
 * The models of the store that a name means.
 *
 * <p>An address means what would be fetched from there. So {@code hf:owner/repo:Q6_K} means a file
 * here only if it is what the hub would give: the label alone tells it from others.
 */
final class StoredNames {
  private StoredNames() {}

  static List<StoredModel> meant(String wanted, List<StoredModel> all) {
    Matcher hub = ModelAddress.Patterns.HUB.matcher(wanted);
    if (hub.matches()) {
      String repository = "hf:" + hub.group(1) + "/" + hub.group(2);
      String file = hub.group(3);
      return ofRepository(repository, file == null ? "" : file, all);
    }
    if (ModelAddress.isAddress(wanted)) {
      return named(address(wanted), all);
    }
    List<StoredModel> same = named(wanted, all);
    return same.isEmpty() ? all.stream().filter(m -> endsWith(m.name(), wanted)).toList() : same;
  }

  private static List<StoredModel> ofRepository(
      String repository, String file, List<StoredModel> all) {
    if (GgufName.is(file)) {
      return named(repository + ":" + file, all);
    }
    List<StoredModel> whole = file.isEmpty() ? named(repository, all) : List.of();
    if (!whole.isEmpty()) {
      return whole;
    }
    List<StoredModel> gguf =
        all.stream().filter(m -> m.name().startsWith(repository + ":")).toList();
    return file.isEmpty()
        ? GgufChoice.models(gguf, StoredNames::file)
        : GgufChoice.meant(file, gguf, StoredNames::file, false);
  }

  private static GgufName file(StoredModel model) {
    return new GgufName(model.name().substring(model.name().indexOf(':', 3) + 1));
  }

  private static String address(String wanted) {
    try {
      return ModelAddress.parse(wanted) instanceof ModelAddress.Web web
          ? ModelAddress.Web.name(web.path())
          : wanted;
    } catch (IllegalArgumentException e) {
      return wanted;
    }
  }

  /** By the whole name; of any of its parts. */
  private static List<StoredModel> named(String wanted, List<StoredModel> all) {
    GgufName first = new GgufName(wanted).part(1);
    return all.stream().filter(m -> new GgufName(m.name()).part(1).equals(first)).toList();
  }

  private static boolean endsWith(String name, String wanted) {
    String end = new GgufName(wanted).part(1).text();
    String file = name.replaceFirst("\\?.*", "");
    return List.of(name, file).stream()
        .anyMatch(n -> n.endsWith("/" + end) || n.endsWith(":" + end));
  }
}
