package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A chat template as a model's files have it; whether it is one is for who needs it to find out.
 *
 * @param name what it is for: {@code default}, {@code tool_use}, {@code rag}
 * @param place where it stands, for messages: the file, and the key in it
 * @param text the template; null where it cannot be read
 * @param problem why it cannot be read; empty where it can
 */
public record TemplateSource(String name, String place, @Nullable String text, String problem) {
  /** The name of the template that is used where none is asked for. */
  public static final String DEFAULT = "default";

  static final String KEY = "tokenizer.chat_template";
  static final String NAMES = "tokenizer.chat_templates";

  static TemplateSource of(String name, Path file, String key, String text) {
    return new TemplateSource(name, file + ": " + key, text, "");
  }

  static TemplateSource unreadable(String name, Path file, String key, String problem) {
    return new TemplateSource(name, file + ": " + key, null, problem);
  }

  /** The templates under the keys of GGUF: a default, and others by the names that a list has. */
  static List<TemplateSource> of(Path file, Metadata metadata) {
    Set<String> names = new LinkedHashSet<>();
    List<TemplateSource> sources = new ArrayList<>();
    names.add(DEFAULT);
    if (metadata.has(NAMES)) {
      try {
        names.addAll(metadata.strings(NAMES));
      } catch (ModelFileException _) {
        sources.add(unreadable("", file, NAMES, "is no list of names"));
      }
    }
    for (String name : names) {
      String key = key(name);
      if (metadata.has(key)) {
        try {
          sources.add(of(name, file, key, metadata.string(key)));
        } catch (ModelFileException _) {
          sources.add(unreadable(name, file, key, "is no text"));
        }
      }
    }
    return sources;
  }

  /** The key of GGUF under which a template stands. */
  static String key(String name) {
    return name.equals(DEFAULT) ? KEY : KEY + "." + name;
  }
}
