package dev.knapsack.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/** Messages as JSON: a role and a text, or a role and its parts where it has others. */
final class MessageJson {
  private MessageJson() {}

  static JsonObject write(Message message) {
    JsonObject object = new JsonObject();
    object.addProperty("role", message.role().word());
    if (message.parts().stream().allMatch(Part.Text.class::isInstance)) {
      object.addProperty("content", message.text());
    } else {
      object.add("parts", write(message.parts()));
    }
    return object;
  }

  static JsonArray write(List<Part> parts) {
    JsonArray array = new JsonArray();
    parts.forEach(part -> array.add(write(part)));
    return array;
  }

  static JsonObject write(Part part) {
    JsonObject object = new JsonObject();
    switch (part) {
      case Part.Text(String text) -> object.addProperty("text", text);
      case Part.Reasoning(String text) -> object.addProperty("reasoning", text);
      case Part.ToolCall(String id, String name, String arguments) -> {
        object.addProperty("call", name);
        object.addProperty("arguments", arguments);
        object.addProperty("id", id);
      }
      case Part.ToolResult(String id, String text) -> {
        object.addProperty("result", text);
        object.addProperty("id", id);
      }
      case Part.Media media -> {
        object.addProperty("media", media.type());
        object.addProperty("bytes", Base64.getEncoder().encodeToString(media.bytes()));
      }
    }
    return object;
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws RuntimeException of some kind if it is anything else
   */
  static Message read(JsonElement element) {
    JsonObject object = element.getAsJsonObject();
    Role role = Role.of(object.get("role").getAsString());
    if (!object.has("parts")) {
      return new Message(role, List.of(new Part.Text(object.get("content").getAsString())));
    }
    List<Part> parts = new ArrayList<>();
    object.getAsJsonArray("parts").forEach(part -> parts.add(part(part.getAsJsonObject())));
    return new Message(role, parts);
  }

  private static Part part(JsonObject object) {
    if (object.has("text")) {
      return new Part.Text(text(object, "text"));
    }
    if (object.has("reasoning")) {
      return new Part.Reasoning(text(object, "reasoning"));
    }
    if (object.has("call")) {
      return new Part.ToolCall(text(object, "id"), text(object, "call"), text(object, "arguments"));
    }
    if (object.has("result")) {
      return new Part.ToolResult(text(object, "id"), text(object, "result"));
    }
    return new Part.Media(text(object, "media"), Base64.getDecoder().decode(text(object, "bytes")));
  }

  private static String text(JsonObject object, String name) {
    return object.get(name).getAsString();
  }
}
