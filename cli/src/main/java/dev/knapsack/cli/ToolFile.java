package dev.knapsack.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.message.Tool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A file of tools: a JSON list of functions, as the OpenAI API has it. */
final class ToolFile {
  private ToolFile() {}

  static List<Tool> read(Path file) throws IOException {
    try {
      List<Tool> tools = new ArrayList<>();
      for (JsonElement element : JsonParser.parseString(Files.readString(file)).getAsJsonArray()) {
        JsonObject function = element.getAsJsonObject().getAsJsonObject("function");
        JsonElement description = function.get("description");
        JsonElement parameters = function.get("parameters");
        JsonElement strict = function.get("strict");
        tools.add(
            new Tool(
                function.get("name").getAsString(),
                description == null ? "" : description.getAsString(),
                parameters == null ? "{}" : parameters.getAsJsonObject().toString(),
                strict != null && strict.getAsBoolean()));
      }
      return tools;
    } catch (JsonParseException
        | IllegalStateException
        | UnsupportedOperationException
        | ClassCastException
        | NullPointerException e) {
      throw new UnusableFileException(
          file
              + ": is no list of tools, such as [{\"type\": \"function\", \"function\": {\"name\":"
              + " …}}]",
          e);
    }
  }
}
