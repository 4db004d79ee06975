package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * The chat templates of a model as the hub keeps it, from where transformers takes them: {@code
 * chat_template.jinja} and the files of {@code additional_chat_templates} go before what stands in
 * {@code chat_template.json}, and that before {@code processor_config.json} and {@code
 * tokenizer_config.json}; there a template is a text, or a list of them with names.
 */
final class HubTemplates {
  private static final long MOST_BYTES = 16 << 20;
  private static final String KEY = "chat_template";
  private static final String FILE = "chat_template.jinja";
  private static final String FOLDER = "additional_chat_templates";
  private static final String SUFFIX = ".jinja";
  private static final List<String> SETTINGS =
      List.of("chat_template.json", "processor_config.json", "tokenizer_config.json");

  private final Map<String, TemplateSource> found = new LinkedHashMap<>();

  private HubTemplates() {}

  /** The templates of a directory, the default first; one that cannot be read says so. */
  static List<TemplateSource> of(Path directory) {
    HubTemplates templates = new HubTemplates();
    templates.file(TemplateSource.DEFAULT, directory.resolve(FILE));
    templates.folder(directory.resolve(FOLDER));
    for (String settings : SETTINGS) {
      if (!templates.found.containsKey(TemplateSource.DEFAULT)) {
        templates.settings(directory.resolve(settings));
      }
    }
    return templates.sorted();
  }

  /** Puts templates under the keys of GGUF. */
  static void put(MetadataBuilder metadata, List<TemplateSource> templates) {
    List<String> names = new ArrayList<>();
    for (TemplateSource template : templates) {
      if (template.text() != null) {
        metadata.string(TemplateSource.key(template.name()), template.text());
        if (!template.name().equals(TemplateSource.DEFAULT)) {
          names.add(template.name());
        }
      }
    }
    if (!names.isEmpty()) {
      metadata.strings(TemplateSource.NAMES, names);
    }
  }

  private void file(String name, Path file) {
    if (!Files.exists(file)) {
      return;
    }
    String text = null;
    String problem = "";
    try {
      if (Files.size(file) > MOST_BYTES) {
        problem = "has more than 16 MiB";
      } else {
        text = Files.readString(file);
      }
    } catch (IOException e) {
      problem = "cannot be read as text: " + e;
    }
    found.put(name, new TemplateSource(name, file.toString(), text, problem));
  }

  private void folder(Path folder) {
    if (!Files.isDirectory(folder)) {
      return;
    }
    TreeSet<Path> files = new TreeSet<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, "*" + SUFFIX)) {
      entries.forEach(files::add);
    } catch (IOException e) {
      throw new ModelFileException(folder, "folder", "cannot be listed: " + e, e);
    }
    for (Path file : files) {
      String name = String.valueOf(file.getFileName());
      file(plain(name.substring(0, name.length() - SUFFIX.length())), file);
    }
  }

  private void settings(Path file) {
    if (!Files.exists(file)) {
      return;
    }
    JsonArray found = new JsonArray();
    try {
      Json.stream(file, MOST_BYTES, json -> read(json, found));
    } catch (ModelFileException e) {
      add(TemplateSource.unreadable(TemplateSource.DEFAULT, file, KEY, "cannot be read as JSON"));
      return;
    }
    found.forEach(template -> setting(file, template));
  }

  /** The template alone: settings can be long. A list is one of templates with names. */
  private static void read(JsonReader json, JsonArray found) throws IOException {
    if (json.peek() == JsonToken.BEGIN_ARRAY) {
      found.add(JsonParser.parseReader(json));
      return;
    }
    json.beginObject();
    while (json.hasNext()) {
      if (json.nextName().equals(KEY)) {
        found.add(JsonParser.parseReader(json));
      } else {
        json.skipValue();
      }
    }
    json.endObject();
  }

  private void setting(Path file, JsonElement template) {
    switch (template) {
      case JsonNull _ -> {}
      case JsonPrimitive text when text.isString() ->
          add(TemplateSource.of(TemplateSource.DEFAULT, file, KEY, text.getAsString()));
      case JsonArray named -> named.forEach(entry -> named(file, entry));
      case JsonObject named ->
          named.asMap().forEach((name, text) -> add(template(plain(name), file, text)));
      default ->
          add(
              TemplateSource.unreadable(
                  TemplateSource.DEFAULT, file, KEY, "is neither a text nor a list of texts"));
    }
  }

  private void named(Path file, JsonElement entry) {
    if (entry instanceof JsonObject object
        && object.get("name") instanceof JsonPrimitive name
        && object.has("template")) {
      add(template(plain(name.getAsString()), file, object.get("template")));
    } else {
      String wrong = "has an entry without 'name' and 'template'";
      add(TemplateSource.unreadable(TemplateSource.DEFAULT, file, KEY, wrong));
    }
  }

  private static TemplateSource template(String name, Path file, JsonElement text) {
    String key = name.equals(TemplateSource.DEFAULT) ? KEY : KEY + ", '" + name + "'";
    return text instanceof JsonPrimitive primitive && primitive.isString()
        ? TemplateSource.of(name, file, key, primitive.getAsString())
        : TemplateSource.unreadable(name, file, key, "is no text");
  }

  private void add(TemplateSource source) {
    found.putIfAbsent(source.name(), source);
  }

  /** A name as it may be part of a key: as converters to GGUF write it. */
  private static String plain(String name) {
    return name.replaceAll("[^a-zA-Z0-9]", "_");
  }

  private List<TemplateSource> sorted() {
    List<TemplateSource> sources = new ArrayList<>(found.values());
    TemplateSource usual = found.get(TemplateSource.DEFAULT);
    if (usual != null) {
      sources.remove(usual);
      sources.addFirst(usual);
    }
    return List.copyOf(sources);
  }
}
