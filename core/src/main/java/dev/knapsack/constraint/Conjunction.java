package dev.knapsack.constraint;

import dev.knapsack.constraint.SchemaDocument.Node;
import java.util.Collection;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Schemas that hold together, and schemas that must not: what is asked of one value.
 *
 * @param parts each once, by their places
 */
record Conjunction(List<Part> parts) {
  /** A schema that holds, or one that does not. */
  record Part(Node schema, boolean holds) {
    String name() {
      return (holds ? "+" : "-") + schema.pointer();
    }

    Part opposite() {
      return new Part(schema, !holds);
    }
  }

  /** Any value. */
  static final Conjunction ANY = new Conjunction(List.of());

  static Conjunction of(Collection<Part> parts) {
    TreeMap<String, Part> sorted = new TreeMap<>();
    for (Part part : parts) {
      if (!part.holds() || !SchemaReader.isAnything(part.schema())) {
        sorted.put(part.name(), part);
      }
    }
    return new Conjunction(List.copyOf(sorted.values()));
  }

  static Conjunction of(Node schema) {
    return of(List.of(new Part(schema, true)));
  }

  /** A name that equal ones alone share. */
  String name() {
    return parts.stream().map(Part::name).collect(Collectors.joining(" ", "schema ", ""));
  }
}
