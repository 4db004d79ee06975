package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The files of a repository on the hub, and which of them make a model.
 *
 * <p>Source: the hub's {@code /api/models/OWNER/REPO?blobs=true}.
 */
record HubListing(ModelAddress.Hub address, List<Entry> files) {
  private static final int MOST_BYTES = 32 << 20;
  private static final int MOST_SHOWN = 60;
  private static final List<String> PREFERRED = List.of("Q4_K_M", "Q4_0", "MXFP4", "Q8_0");
  private static final Pattern WEIGHTS =
      Pattern.compile("model(-(\\d{5,6})-of-(\\d{5,6}))?\\.safetensors");
  private static final String INDEX = "model.safetensors.index.json";
  private static final Pattern DESCRIPTION =
      Pattern.compile(
          "config\\.json|tokenizer\\.json|tokenizer_config\\.json|generation_config\\.json"
              + "|chat_template\\.(json|jinja)|additional_chat_templates/[^/]+\\.jinja"
              + "|modules\\.json|sentence_bert_config\\.json|config_sentence_transformers\\.json"
              + "|\\d_Pooling/config\\.json|\\d_Dense/(config\\.json|model\\.safetensors)");

  /**
   * A file.
   *
   * @param sha256 of its contents; the hub knows it of large files
   */
  record Entry(String name, Optional<String> sha256) {}

  /**
   * A GGUF model.
   *
   * @param name of its file, or of its first part
   * @param listed those of its parts that the hub has
   */
  private record Model(GgufName name, Map<GgufName, Entry> listed) {}

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
    Attempts attempts = new Attempts(settings, uri);
    while (true) {
      try {
        return parse(address, uri, ask(http, uri));
      } catch (PassingFailure e) {
        attempts.failed(e, "Try again later");
      }
    }
  }

  private static String ask(HttpAccess http, URI uri) throws InterruptedException, PassingFailure {
    try (HttpAccess.Response response = http.get(uri, Map.of())) {
      Optional<PassingFailure> passing = PassingFailure.of(response);
      if (passing.isPresent()) {
        throw passing.get();
      }
      if (response.status() != 200) {
        throw http.refused(uri, response.status());
      }
      byte[] json = response.body().readNBytes(MOST_BYTES + 1);
      if (json.length > MOST_BYTES) {
        throw new DownloadException(uri.toString(), "the list of files has more than 32 MiB");
      }
      return new String(json, StandardCharsets.UTF_8);
    } catch (ConnectException e) {
      throw new DownloadException(uri.toString(), "cannot be reached; check the connection", e);
    } catch (IOException e) {
      throw new PassingFailure("the connection broke (" + e + ")", e);
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
   * The files to fetch: a GGUF file with all its parts, or all that belongs to a safetensors model.
   *
   * @throws DownloadException if there is no such file, or no telling which is meant
   */
  List<Entry> choose() {
    List<Model> gguf = models();
    if (address.file().isPresent()) {
      return files(named(address.file().get(), gguf));
    }
    List<Model> models = GgufChoice.models(gguf, Model::name);
    if (models.size() == 1) {
      return files(models.getFirst());
    }
    for (String format : PREFERRED) {
      List<Model> matching = models.stream().filter(m -> m.name.hasLabel(format)).toList();
      if (matching.size() == 1) {
        return files(matching.getFirst());
      }
    }
    if (!models.isEmpty()) {
      throw ambiguous("several files could be meant", models);
    }
    return safetensors();
  }

  /** All GGUF files, those that are parts of one model together. */
  private List<Model> models() {
    Map<GgufName, Model> byFirst = new LinkedHashMap<>();
    for (Entry file : files) {
      if (GgufName.is(file.name)) {
        GgufName name = new GgufName(file.name);
        byFirst
            .computeIfAbsent(name.part(1), first -> new Model(first, new HashMap<>()))
            .listed
            .put(name, file);
      }
    }
    return List.copyOf(byFirst.values());
  }

  private List<Entry> files(Model model) {
    List<Entry> parts = new ArrayList<>();
    for (GgufName name : model.name.all()) {
      Entry part = model.listed.get(name);
      if (part == null) {
        throw new DownloadException(
            address.toString(),
            "%s is missing: the model has %,d parts, and the hub has %,d of them"
                .formatted(name.text(), model.name.parts(), model.listed.size()));
      }
      parts.add(part);
    }
    return parts;
  }

  private Model named(String wanted, List<Model> gguf) {
    List<Model> meant = GgufChoice.meant(wanted, gguf, Model::name, true);
    if (meant.size() == 1) {
      return meant.getFirst();
    }
    throw ambiguous(
        meant.isEmpty()
            ? "there is no GGUF file of that name or label"
            : "several files have that name or label",
        meant.isEmpty() ? GgufChoice.models(gguf, Model::name) : meant);
  }

  /** The weights in all their parts, and what describes them. */
  private List<Entry> safetensors() {
    List<Entry> weights = files.stream().filter(f -> WEIGHTS.matcher(f.name).matches()).toList();
    List<Entry> single = weights.stream().filter(f -> f.name.equals("model.safetensors")).toList();
    List<Entry> set = new ArrayList<>(single.isEmpty() ? weights : single);
    if (set.isEmpty() || files.stream().noneMatch(f -> f.name.equals("config.json"))) {
      throw new DownloadException(
          address.toString(),
          "holds neither a GGUF file nor a safetensors model with its config.json; there is: "
              + shown(files.stream().map(Entry::name)));
    }
    if (single.isEmpty()) {
      checkParts(weights);
    }
    for (Entry file : files) {
      if (DESCRIPTION.matcher(file.name).matches()
          || (single.isEmpty() && file.name.equals(INDEX))) {
        set.add(file);
      }
    }
    return set;
  }

  private void checkParts(List<Entry> weights) {
    Set<Integer> there = new HashSet<>();
    int count = 0;
    for (Entry file : weights) {
      Matcher part = WEIGHTS.matcher(file.name);
      if (part.matches()) {
        there.add(Integer.parseInt(part.group(2)));
        count = Math.max(count, Integer.parseInt(part.group(3)));
      }
    }
    for (int i = 1; i <= count; i++) {
      if (!there.contains(i)) {
        throw new DownloadException(
            address.toString(),
            "part %,d of %,d of its weights is missing; there is: %s"
                .formatted(i, count, shown(weights.stream().map(Entry::name))));
      }
    }
  }

  private DownloadException ambiguous(String problem, List<Model> candidates) {
    Set<String> labels = new TreeSet<>();
    candidates.forEach(m -> m.name.label().ifPresent(labels::add));
    return new DownloadException(
        address.toString(),
        "%s. Name one as hf:OWNER/REPO:LABEL%s or hf:OWNER/REPO:FILE; there is: %s"
            .formatted(
                problem,
                labels.isEmpty() ? "" : ", of " + String.join(", ", labels) + ",",
                shown(candidates.stream().map(m -> m.name.text()))));
  }

  private static String shown(Stream<String> names) {
    List<String> all = names.toList();
    if (all.isEmpty()) {
      return "nothing";
    }
    int more = all.size() - MOST_SHOWN;
    return "\n  "
        + String.join("\n  ", all.subList(0, Math.min(all.size(), MOST_SHOWN)))
        + (more > 0 ? "\n  and " + more + " more" : "");
  }

  /** The address at which the hub serves a file. */
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
