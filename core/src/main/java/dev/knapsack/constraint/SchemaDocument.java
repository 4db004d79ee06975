package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.text.answer.StrictJson;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A JSON Schema as it was written: its parts by JSON pointer, and what references lead to. */
final class SchemaDocument {
  /** The address of a document that names none. */
  private static final URI HERE = URI.create("schema:/");

  /** Keywords whose values are no schemas, whatever stands in them. */
  private static final Set<String> DATA = Set.of("enum", "const", "default", "examples");

  /**
   * A value in the document, most often a schema.
   *
   * @param pointer where it stands
   * @param base the address of the schema resource that it is part of
   */
  record Node(String pointer, JsonElement json, URI base) {
    /** The value of a keyword in this one. */
    Node child(String key) {
      if (json instanceof JsonArray array) {
        return node(key, array.get(Integer.parseInt(key)));
      }
      JsonElement value = ((JsonObject) json).get(key);
      return node(key, value == null ? JsonNull.INSTANCE : value);
    }

    private Node node(String key, JsonElement value) {
      String pointer = at(key);
      return new Node(
          pointer, value, id(value).map(id -> resolved(base, id, pointer)).orElse(base));
    }

    /** The pointer to a keyword in this value. */
    String at(String key) {
      return pointer + "/" + key.replace("~", "~0").replace("/", "~1");
    }

    /** This schema has a keyword that cannot be honoured. */
    ConstraintException refuse(String keyword, String problem) {
      return new ConstraintException(at(keyword), "'%s' %s".formatted(keyword, problem));
    }
  }

  private final Map<URI, Node> resources = new HashMap<>();
  private final Map<String, Node> anchors = new HashMap<>();
  private final Node root;

  /**
   * @throws ConstraintException if the text is no JSON, or no schema
   */
  SchemaDocument(String schema) {
    JsonElement json =
        StrictJson.parse(schema)
            .orElseThrow(() ->
                new ConstraintException(
                    "",
                    "The schema is not JSON, or has values in values in values beyond"
                        + " reason; give a JSON Schema."));
    URI base = id(json).map(id -> resolved(HERE, id, "")).orElse(HERE);
    root = new Node("", json, base);
    resources.put(HERE, root);
    index(root);
  }

  Node root() {
    return root;
  }

  private static Optional<String> id(JsonElement json) {
    return json instanceof JsonObject object
            && object.get("$id") instanceof JsonPrimitive id
            && id.isString()
        ? Optional.of(id.getAsString())
        : Optional.empty();
  }

  private static URI resolved(URI base, String reference, String pointer) {
    try {
      URI whole = base.resolve(reference);
      return new URI(whole.getScheme(), whole.getSchemeSpecificPart(), null);
    } catch (IllegalArgumentException | URISyntaxException _) {
      throw new ConstraintException(
          pointer, "'%s' is no address (URI); write one, or leave it out.".formatted(reference));
    }
  }

  private void index(Node node) {
    switch (node.json) {
      case JsonObject object -> {
        resources.putIfAbsent(node.base, node);
        for (String keyword : Set.of("$anchor", "$dynamicAnchor")) {
          if (object.get(keyword) instanceof JsonPrimitive anchor && anchor.isString()) {
            anchors.put(node.base + "#" + anchor.getAsString(), node);
          }
        }
        for (String key : object.keySet()) {
          if (!DATA.contains(key)) {
            index(node.child(key));
          }
        }
      }
      case JsonArray array -> {
        for (int i = 0; i < array.size(); i++) {
          index(node.child(Integer.toString(i)));
        }
      }
      default -> {}
    }
  }

  /** The schema that the reference of a node leads to. */
  Node target(Node from, String keyword) {
    String reference = string(from, keyword);
    int hash = reference.indexOf('#');
    String address = hash < 0 ? reference : reference.substring(0, hash);
    String fragment = hash < 0 ? "" : reference.substring(hash + 1);
    URI base = address.isEmpty() ? from.base : resolved(from.base, address, from.at(keyword));
    Node resource = resources.get(base);
    if (resource == null) {
      throw from.refuse(
          keyword,
          ("leads out of the schema, to '%s'; put what it refers to under '$defs', and refer to"
                  + " that.")
              .formatted(reference));
    }
    if (fragment.isEmpty()) {
      return resource;
    }
    Node found =
        fragment.startsWith("/") ? at(resource, fragment) : anchors.get(base + "#" + fragment);
    if (found == null) {
      throw from.refuse(
          keyword, "is '%s', and there is nothing there; define it.".formatted(reference));
    }
    return found;
  }

  private static @Nullable Node at(Node resource, String fragment) {
    Node node = resource;
    String decoded = URLDecoder.decode(fragment.replace("+", "%2B"), StandardCharsets.UTF_8);
    for (String part : decoded.substring(1).split("/", -1)) {
      String key = part.replace("~1", "/").replace("~0", "~");
      boolean there =
          switch (node.json) {
            case JsonObject object -> object.has(key);
            case JsonArray array -> key.matches("\\d{1,6}") && Integer.parseInt(key) < array.size();
            default -> false;
          };
      if (!there) {
        return null;
      }
      node = node.child(key);
    }
    return node;
  }

  /** The text that a keyword has. */
  static String string(Node node, String keyword) {
    if (node.child(keyword).json instanceof JsonPrimitive text && text.isString()) {
      return text.getAsString();
    }
    throw node.refuse(keyword, "has to be a text.");
  }
}
