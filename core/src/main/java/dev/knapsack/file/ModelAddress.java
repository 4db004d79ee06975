package dev.knapsack.file;

import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a model can be fetched from. */
public sealed interface ModelAddress {
  /**
   * A model on the hub.
   *
   * @param file one of its files, or a part of its name such as {@code Q4_K_M}
   */
  record Hub(String owner, String repository, Optional<String> file) implements ModelAddress {
    @Override
    public String toString() {
      return "hf:" + owner + "/" + repository + file.map(f -> ":" + f).orElse("");
    }
  }

  /** A GGUF file anywhere on the web. */
  record Web(URI uri) implements ModelAddress {
    @Override
    public String toString() {
      return uri.toString();
    }
  }

  /** Whether a text is meant as an address, and not as the name of a file. */
  static boolean isAddress(String text) {
    return Patterns.SCHEME.matcher(text).lookingAt();
  }

  /**
   * Reads {@code hf:owner/repo}, {@code hf:owner/repo:file}, {@code https:} and {@code http:}
   * addresses.
   *
   * @throws IllegalArgumentException if the text is none of them
   */
  static ModelAddress parse(String text) {
    Matcher hub = Patterns.HUB.matcher(text);
    if (hub.matches()) {
      String file = hub.group(3);
      if (file != null) {
        relative(text, file);
      }
      return new Hub(hub.group(1), hub.group(2), Optional.ofNullable(file));
    }
    if (text.toLowerCase(Locale.ROOT).startsWith("http")) {
      try {
        URI uri = URI.create(text);
        if (uri.getHost() != null && uri.getPath() != null && uri.getPath().length() > 1) {
          relative(text, uri.getPath().substring(1));
          return new Web(uri);
        }
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(wrong(text), e);
      }
    }
    throw new IllegalArgumentException(wrong(text));
  }

  /**
   * A path below a directory, from names that others chose.
   *
   * @throws IllegalArgumentException if it could lead anywhere else
   */
  static Path relative(String address, String path) {
    List<String> names = Arrays.asList(path.split("/", -1));
    for (String name : names) {
      if (!Patterns.NAME.matcher(name).matches() || name.endsWith(".part")) {
        throw new IllegalArgumentException(address + ": cannot keep a file named '" + path + "'");
      }
    }
    return Path.of("", names.toArray(String[]::new));
  }

  private static String wrong(String text) {
    return "Not a model's address: '"
        + text
        + "'. Write hf:OWNER/REPO, hf:OWNER/REPO:FILE.gguf or https://HOST/FILE.gguf.";
  }

  /** The shapes of addresses. */
  final class Patterns {
    static final Pattern SCHEME = Pattern.compile("(hf|https?):", Pattern.CASE_INSENSITIVE);
    static final Pattern HUB =
        Pattern.compile("hf:(?://)?(\\w[\\w.-]*)/(\\w[\\w.-]*)(?::(\\S.*))?");

    /** A file's name: no dots alone, no separator of any system, nothing unprintable. */
    static final Pattern NAME = Pattern.compile("(?!\\.+$)[^/\\\\:*?\"<>|\\p{Cntrl}]{1,200}");

    private Patterns() {}
  }
}
