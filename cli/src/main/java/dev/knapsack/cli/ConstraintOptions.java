package dev.knapsack.cli;

import dev.knapsack.generation.Constraint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The form that answers are held to: {@code --json-schema}, {@code --grammar}, {@code --regex}. */
final class ConstraintOptions {
  @Option(
      names = "--json-schema",
      paramLabel = "FILE",
      description = "Write JSON that this JSON Schema describes, and nothing else.")
  private @Nullable Path schema;

  @Option(
      names = "--grammar",
      paramLabel = "FILE",
      description = "Write a text of this grammar, in the notation of llama.cpp (GBNF).")
  private @Nullable Path grammar;

  @Option(
      names = "--regex",
      paramLabel = "PATTERN",
      description = "Write a text that this regular expression matches as a whole.")
  private @Nullable String regex;

  /** The constraint, if the user gave one; its file is read now. */
  Optional<Constraint> constraint() throws IOException {
    List<Constraint> given = new ArrayList<>();
    if (schema != null) {
      given.add(new Constraint.JsonSchema(Files.readString(schema)));
    }
    if (grammar != null) {
      given.add(new Constraint.Grammar(Files.readString(grammar)));
    }
    if (regex != null) {
      given.add(new Constraint.Regex(regex));
    }
    if (given.size() > 1) {
      throw new IllegalArgumentException(
          "An answer is held to one of --json-schema, --grammar and --regex; give one.");
    }
    return given.stream().findFirst();
  }
}
