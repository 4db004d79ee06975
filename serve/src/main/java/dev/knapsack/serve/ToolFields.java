package dev.knapsack.serve;

import com.google.gson.JsonObject;
import dev.knapsack.message.Part;
import dev.knapsack.message.Tool;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.text.answer.StrictJson;
import java.util.List;
import java.util.Optional;

/** Reads and writes tools and their calls, as far as the APIs have them in common. */
public final class ToolFields {
  private static final String NO_PARAMETERS = "{\"type\": \"object\", \"properties\": {}}";

  private ToolFields() {}

  /** The tools of a body in OpenAI's form; those that are not functions are refused. */
  public static List<Tool> functions(Fields body) {
    return body.objects("tools").stream().map(ToolFields::function).toList();
  }

  private static Tool function(Fields tool) {
    String type = tool.text("type", "function");
    if (!type.equals("function")) {
      throw tool.refusal(
          "type",
          "is '%s'; tools that a model can call here are of the type 'function'".formatted(type));
    }
    // The Responses API has the function's fields in the tool itself.
    return tool(tool.object("function").orElse(tool), "parameters");
  }

  /**
   * The tool that has these fields.
   *
   * @param schema the name of the one with the JSON Schema of its arguments
   */
  public static Tool tool(Fields fields, String schema) {
    return new Tool(
        fields.needed("name"),
        fields.text("description", ""),
        fields.object(schema).map(s -> s.json().toString()).orElse(NO_PARAMETERS),
        fields.flag("strict", false));
  }

  /**
   * A call that an assistant's message repeats.
   *
   * @param arguments the name of the field with its arguments: an object, or the text of one
   */
  public static Part.ToolCall call(String id, Fields fields, String arguments) {
    String text =
        fields.get(arguments) instanceof JsonObject object
            ? object.toString()
            : fields.text(arguments, "");
    return new Part.ToolCall(id, fields.needed("name"), text.isBlank() ? "{}" : text);
  }

  /** The arguments of a call as an object; an empty one for arguments that were cut. */
  public static JsonObject arguments(Part.ToolCall call) {
    return object(call.arguments()).orElseGet(JsonObject::new);
  }

  /** The object that arguments are; empty for those that were cut. */
  public static Optional<JsonObject> object(String arguments) {
    return StrictJson.parse(arguments)
        .filter(JsonObject.class::isInstance)
        .map(JsonObject.class::cast);
  }
}
