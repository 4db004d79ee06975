package dev.knapsack.serve;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.serve.http.Fields;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Reads what an answer is held to: the form of its text, and whether it calls tools. A form that is
 * not known is refused, and so are two.
 */
public final class ConstraintFields {
  private ConstraintFields() {}

  /** Holds a request to what OpenAI's fields, and those of engines that people run, ask for. */
  public static GenerationRequest hold(Fields body, GenerationRequest request) {
    List<Constraint> all = new ArrayList<>();
    body.object("response_format").flatMap(ConstraintFields::format).ifPresent(all::add);
    body.object("text")
        .flatMap(t -> t.object("format"))
        .flatMap(ConstraintFields::format)
        .ifPresent(all::add);
    body.object("json_schema").map(s -> schema(s.json())).ifPresent(all::add);
    body.text("grammar").filter(g -> !g.isEmpty()).map(Constraint.Grammar::new).ifPresent(all::add);
    named(body, "guided_", all);
    body.object("structured_outputs").ifPresent(given -> named(given, "", all));
    return choice(body, held(request, body, all));
  }

  /** A form by the names that vLLM has for them, all of which begin alike. */
  private static void named(Fields fields, String prefix, List<Constraint> all) {
    JsonElement json = fields.get(prefix + "json");
    if (json instanceof JsonObject object) {
      all.add(schema(object));
    } else if (json != null) {
      all.add(new Constraint.JsonSchema(fields.needed(prefix + "json")));
    }
    fields.text(prefix + "regex").map(Constraint.Regex::new).ifPresent(all::add);
    fields.text(prefix + "grammar").map(Constraint.Grammar::new).ifPresent(all::add);
    if (fields.has(prefix + "choice")) {
      all.add(new Constraint.Choice(fields.texts(prefix + "choice")));
    }
  }

  private static GenerationRequest held(
      GenerationRequest request, Fields body, List<Constraint> all) {
    if (all.size() > 1) {
      throw body.refusal(
          "response_format", "is not the only form that is asked for; an answer can have one");
    }
    return all.isEmpty() ? request : request.withConstraint(all.getFirst());
  }

  /** The form that {@code {"type": …}} names; empty for plain text. */
  public static Optional<Constraint> format(Fields format) {
    String type =
        format.oneOf(
            "type", "text", Set.of("text", "json_object", "json_schema", "grammar", "regex"));
    return switch (type) {
      case "json_object" ->
          Optional.of(
              format
                  .object("schema")
                  .<Constraint>map(s -> schema(s.json()))
                  .orElseGet(Constraint.Json::new));
      case "json_schema" -> Optional.of(schema(format));
      case "grammar" -> Optional.of(new Constraint.Grammar(format.needed("grammar")));
      case "regex" -> Optional.of(new Constraint.Regex(format.needed("pattern")));
      default -> Optional.empty();
    };
  }

  /** The schema of a format: its own, or that of its {@code json_schema}. */
  private static Constraint schema(Fields format) {
    Fields holder = format.object("json_schema").orElse(format);
    JsonElement schema = holder.get("schema");
    if (schema instanceof JsonPrimitive p && p.isBoolean()) {
      return new Constraint.JsonSchema(schema.toString());
    }
    return schema(
        holder
            .object("schema")
            .orElseThrow(() -> holder.refusal("schema", "is missing; it must be a JSON Schema"))
            .json());
  }

  /** JSON that this schema describes. */
  public static Constraint schema(JsonObject schema) {
    return new Constraint.JsonSchema(schema.toString());
  }

  private static GenerationRequest choice(Fields body, GenerationRequest request) {
    GenerationRequest wished = request.withParallelCalls(body.flag("parallel_tool_calls", true));
    JsonElement choice = body.get("tool_choice");
    if (choice == null) {
      return wished;
    }
    if (choice instanceof JsonObject) {
      Fields named = body.object("tool_choice").orElseThrow();
      String type = named.text("type", "function");
      if (!type.equals("function")) {
        throw named.refusal(
            "type", "is '%s'; a choice of a tool is of the type 'function'".formatted(type));
      }
      return wished.withToolChoice(
          new ToolChoice.Named(named.object("function").orElse(named).needed("name")));
    }
    return wished.withToolChoice(
        switch (body.oneOf("tool_choice", "auto", Set.of("auto", "none", "required"))) {
          case "none" -> ToolChoice.NONE;
          case "required" -> ToolChoice.REQUIRED;
          default -> ToolChoice.AUTO;
        });
  }
}
