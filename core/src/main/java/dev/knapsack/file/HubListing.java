package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The files of a repository on the hub, and which of them make a model.
 *
 * <p>Source: the hub's {@code /api/models/OWNER/REPO?blobs=true}.
 */
record HubListing(ModelAddress.Hub address, List<Entry> files) {
  private static final int MOST_BYTES = 32 << 20;
  private static final List<String> PREFERRED = List.of("Q4_K_M", "Q4_0", "MXFP4", "Q8_0");
  private static final Pattern SPLIT = Pattern.compile(".*-\\d{5}-of-\\d{5}\\.gguf");
  private static final Pattern WEIGHTS =
      Pattern.compile("model(-\\d{5}-of-\\d{5})?\\.safetensors|model\\.safetensors\\.index\\.json");
  private static final List<String> DESCRIPTIONS =
      List.of(
          "config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "chat_template.jinja",
          "generation_config.json");

  /**
   * A file.
   *
   * @param sha256 of its contents; the hub knows it of large files
   */
  record Entry(String name, Optional<String> sha256) {}

  /** Asks the hub. */
  static HubListing fetch(HttpAccess http, StoreSettings settings, ModelAddress.Hub address)
      throws InterruptedException {
    URI uri =
        URI.create(
            settings.endpoint()
                + "/api/models/"
                + address.owner()
                + "/"
                + address.repository()
                + "?blobs=true");
    try (HttpAccess.Response response = http.get(uri, Map.of())) {
      if (response.status() != 200) {
        throw http.refused(uri, response.status());
      }
      byte[] json = response.body().readNBytes(MOST_BYTES + 1);
      if (json.length > MOST_BYTES) {
        throw new DownloadException(uri.toString(), "the list of files has more than 32 MiB");
      }
      return parse(address, uri, new String(json, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new DownloadException(
          uri.toString(), "cannot be reached (" + e + "); check the connection", e);
    }
  }

  static HubListing parse(ModelAddress.Hub address, URI uri, String json) {
    try {
      JsonArray siblings =
          JsonParser.parseString(json).getAsJsonObject().getAsJsonArray("siblings");
      List<Entry> files = new ArrayList<>();
      for (JsonElement sibling : siblings == null ? new JsonArray() : siblings) {
        JsonObject file = sibling.getAsJsonObject();
        Optional<String> sha256 =
            file.get("lfs") instanceof JsonObject lfs && lfs.has("sha256")
                ? Optional.of(lfs.get("sha256").getAsString())
                : Optional.empty();
        files.add(new Entry(file.get("rfilename").getAsString(), sha256));
      }
      return new HubListing(address, List.copyOf(files));
    } catch (JsonParseException
        | IllegalStateException
        | UnsupportedOperationException
        | ClassCastException
        | NullPointerException e) {
      throw new DownloadException(
          uri.toString(), "answers something that is no list of files: " + e.getMessage(), e);
    }
  }

  /**
   * The files to fetch: one GGUF file, or all that belongs to a safetensors model.
   *
   * @throws DownloadException if there is no such file, or no telling which is meant
   */
  List<Entry> choose() {
    List<Entry> gguf =
        files.stream()
            .filter(f -> f.name.endsWith(".gguf") && !f.name.contains("mmproj"))
            .filter(f -> !SPLIT.matcher(f.name).matches())
            .toList();
    if (address.file().isPresent()) {
      return List.of(named(address.file().get(), gguf));
    }
    if (gguf.size() == 1) {
      return gguf;
    }
    for (String format : PREFERRED) {
      List<Entry> matching = gguf.stream().filter(f -> names(f, format)).toList();
      if (matching.size() == 1) {
        return matching;
      }
    }
    if (!gguf.isEmpty()) {
      throw ambiguous("several files could be meant", gguf);
    }
    List<Entry> set =
        files.stream()
            .filter(f -> DESCRIPTIONS.contains(f.name) || WEIGHTS.matcher(f.name).matches())
            .toList();
    if (set.stream().noneMatch(f -> f.name.endsWith(".safetensors"))
        || set.stream().noneMatch(f -> f.name.equals("config.json"))) {
      throw ambiguous(
          "holds neither a GGUF file in one piece nor a safetensors model with its config.json",
          files);
    }
    return set;
  }

  private Entry named(String name, List<Entry> gguf) {
    for (Entry file : files) {
      if (file.name.equals(name) && file.name.endsWith(".gguf")) {
        if (SPLIT.matcher(name).matches()) {
          throw new DownloadException(
              address.toString(),
              "this file is one piece of a model; models in several GGUF files are not supported");
        }
        return file;
      }
    }
    List<Entry> matching = gguf.stream().filter(f -> names(f, name)).toList();
    if (matching.size() == 1) {
      return matching.getFirst();
    }
    throw ambiguous(
        (matching.isEmpty() ? "no GGUF file" : "several files") + " of that name", gguf);
  }

  private static boolean names(Entry file, String part) {
    return file.name.toUpperCase(Locale.ROOT).contains(part.toUpperCase(Locale.ROOT));
  }

  private DownloadException ambiguous(String problem, List<Entry> candidates) {
    String list =
        candidates.isEmpty()
            ? "nothing"
            : candidates.stream()
                .limit(60)
                .map(Entry::name)
                .collect(Collectors.joining("\n  ", "\n  ", ""));
    return new DownloadException(
        address.toString(), problem + ". Name one as hf:OWNER/REPO:FILE; there is: " + list);
  }

  /** Where the hub serves a file. */
  URI location(StoreSettings settings, Entry file) {
    try {
      String path =
          new URI(
                  null,
                  null,
                  "/" + address.owner() + "/" + address.repository() + "/resolve/main/" + file.name,
                  null)
              .getRawPath();
      return URI.create(settings.endpoint() + path);
    } catch (URISyntaxException e) {
      throw new DownloadException(
          address.toString(), "has a file whose name is no address: " + file.name, e);
    }
  }
}
