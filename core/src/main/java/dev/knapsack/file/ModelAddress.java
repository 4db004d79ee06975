package dev.knapsack.file;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An address from which a model can be fetched. */
public sealed interface ModelAddress {
  /** File systems take names of 255 bytes; what is on its way has a longer one. */
  int MOST_NAME_BYTES = 240;

  /**
   * A model on the hub.
   *
   * @param file one of its files, or how it stores numbers such as {@code Q4_K_M}
   */
  record Hub(String owner, String repository, Optional<String> file) implements ModelAddress {
    @Override
    public String toString() {
      return "hf:" + owner + "/" + repository + file.map(f -> ":" + f).orElse("");
    }
  }

  /** A GGUF file anywhere on the web. */
  record Web(URI uri) implements ModelAddress {
    private static final int MOST_QUERY = 100;

    /**
     * The file's place in the store: the host, with its port, and the path. The query, which may
     * say which file is meant, stands in braces, as no address has them; a long one is hashed.
     */
    Path path() {
      String port = uri.getPort() < 0 ? "" : "_" + uri.getPort();
      String query = uri.getRawQuery() == null ? "" : "{" + query(uri.getRawQuery()) + "}";
      return relative(
          uri.toString(),
          escaped(uri.getHost().toLowerCase(Locale.ROOT))
              + port
              + escaped(uri.getRawPath())
              + query);
    }

    /** Says whether it is a file of a safetensors model, which is no model alone. */
    boolean isOneOfSet() {
      return uri.getPath().matches("(?i).*\\.(safetensors|json|jinja)");
    }

    /** The addresses of all parts of the model, if this is one of several. */
    List<Web> parts() {
      String host = uri.getScheme() + "://" + uri.getRawAuthority();
      String query = uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery();
      return new GgufName(uri.getRawPath())
          .all().stream().map(name -> new Web(URI.create(host + name.text() + query))).toList();
    }

    /** The name of what lies there: the address without its scheme. */
    static String name(Path path) {
      List<String> names = new ArrayList<>();
      path.forEach(name -> names.add(name.toString()));
      names.set(0, names.getFirst().replaceFirst("_(\\d+)$", ":$1"));
      return String.join("/", names).replaceFirst("\\{([^/{}]*)}$", "?$1");
    }

    private static String query(String query) {
      return query.length() > MOST_QUERY
          ? Sha256.of(query.getBytes(StandardCharsets.UTF_8))
          : escaped(query).replace("/", "%2F");
    }

    /** Without what names of files may not have. */
    private static String escaped(String text) {
      return Patterns.NO_NAME
          .matcher(text)
          .replaceAll(c -> "%%%02X".formatted((int) c.group().charAt(0)));
    }

    @Override
    public String toString() {
      return uri.toString();
    }
  }

  /** Says whether a text is meant as an address, and not as the name of a file. */
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
    URI uri = web(text);
    if (uri.getHost() == null || uri.getPath() == null || uri.getPath().length() < 2) {
      throw new IllegalArgumentException(wrong(text));
    }
    Web web = new Web(uri);
    web.path();
    return web;
  }

  private static URI web(String text) {
    if (!text.toLowerCase(Locale.ROOT).startsWith("http")) {
      throw new IllegalArgumentException(wrong(text));
    }
    try {
      return URI.create(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(wrong(text), e);
    }
  }

  /**
   * A path below a directory, from names that others chose.
   *
   * @throws IllegalArgumentException if it could lead anywhere else
   */
  static Path relative(String address, String path) {
    List<String> names = Arrays.asList(path.split("/", -1));
    for (String name : names) {
      if (!Patterns.NAME.matcher(name).matches()
          || name.endsWith(".part")
          || name.getBytes(StandardCharsets.UTF_8).length > MOST_NAME_BYTES) {
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
    static final Pattern NO_NAME = Pattern.compile("[:*?|]");

    static final Pattern NAME = Pattern.compile("(?!\\.+$)[^/\\\\:*?\"<>|\\p{Cntrl}]{1,200}");

    private Patterns() {}
  }
}
