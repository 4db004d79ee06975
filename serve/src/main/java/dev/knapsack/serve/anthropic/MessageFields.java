package dev.knapsack.serve.anthropic;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.serve.ConstraintFields;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.Thinking;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Fields;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Reads requests as clients of Anthropic's API write them. */
final class MessageFields {
  private static final Set<String> CHOICES = Set.of("auto", "any", "tool", "none");
  private static final Set<String> ROLES = Set.of("user", "assistant", "system");

  private MessageFields() {}

  /** The request for an answer. */
  static GenerationRequest request(Fields body) {
    int most =
        body.integer("max_tokens", 1, Integer.MAX_VALUE)
            .orElseThrow(
                () -> body.refusal("max_tokens", "is missing; it must be a number of tokens"));
    return held(body, GenerationRequest.of(conversation(body)))
        .withMaxTokens(most)
        .withSampling(SamplingFields.read(body))
        .withStops(body.texts("stop_sequences").toArray(String[]::new));
  }

  /** Says whether an answer may have one call at the most. */
  static boolean oneCall(Fields body) {
    return body.object("tool_choice")
        .map(choice -> choice.flag("disable_parallel_tool_use", false))
        .orElse(false);
  }

  /** The conversation of a body. */
  static Conversation conversation(Fields body) {
    List<Message> messages = new ArrayList<>();
    List<Part> system = content(body, "system", MessageFields::text);
    if (!system.isEmpty()) {
      messages.add(new Message(Role.SYSTEM, system));
    }
    List<Fields> given = body.objects("messages");
    if (given.isEmpty()) {
      throw body.refusal("messages", "must be a list of one message or more");
    }
    given.forEach(message -> messages.addAll(messages(message)));
    if (messages.getLast().role() == Role.ASSISTANT) {
      throw body.refusal(
          "messages",
          "ends with the assistant's, which cannot be gone on with here; end with the user's");
    }
    refuseServers(body);
    return new Conversation(messages, tools(body), variables(body));
  }

  private static void refuseServers(Fields body) {
    if (!body.array("mcp_servers").map(JsonArray::isEmpty).orElse(true)) {
      throw body.refusal("mcp_servers", "are not called from here; leave them out");
    }
  }

  /** Holds a request to the form that is asked for, and to the choice of a tool. */
  private static GenerationRequest held(Fields body, GenerationRequest request) {
    Optional<Constraint> form =
        body.object("output_config")
            .flatMap(output -> output.object("format"))
            .or(() -> body.object("output_format"))
            .flatMap(ConstraintFields::format);
    GenerationRequest wished =
        form.map(request::withConstraint).orElse(request).withParallelCalls(!oneCall(body));
    Optional<Fields> choice = body.object("tool_choice");
    if (choice.isEmpty()) {
      return wished;
    }
    return wished.withToolChoice(
        switch (choice.get().oneOf("type", "auto", CHOICES)) {
          case "any" -> ToolChoice.REQUIRED;
          case "none" -> ToolChoice.NONE;
          case "tool" -> new ToolChoice.Named(choice.get().needed("name"));
          default -> ToolChoice.AUTO;
        });
  }

  /** The messages that one is: results of calls are messages of their own. */
  private static List<Message> messages(Fields message) {
    Role role = Role.of(message.oneOf("role", message.needed("role"), ROLES));
    List<Part> parts =
        switch (role) {
          case ASSISTANT -> content(message, "content", MessageFields::said);
          case USER -> content(message, "content", MessageFields::given);
          default -> content(message, "content", MessageFields::text);
        };
    List<Message> messages = new ArrayList<>();
    int begin = 0;
    for (int i = 1; i <= parts.size(); i++) {
      if (i == parts.size() || isResult(parts.get(i)) != isResult(parts.get(begin))) {
        messages.add(
            new Message(isResult(parts.get(begin)) ? Role.TOOL : role, parts.subList(begin, i)));
        begin = i;
      }
    }
    return parts.isEmpty() ? List.of(new Message(role, parts)) : messages;
  }

  private static boolean isResult(Part part) {
    return part instanceof Part.ToolResult;
  }

  /** Reads a block of some kinds; nothing where it says nothing to a model. */
  @FunctionalInterface
  private interface BlockReader {
    Optional<Part> part(Fields block, String type);
  }

  /** Content: a text, or blocks; nothing where it is missing. */
  private static List<Part> content(Fields fields, String name, BlockReader reader) {
    JsonElement value = fields.get(name);
    if (value == null) {
      return List.of();
    }
    if (value.isJsonPrimitive()) {
      String text = fields.needed(name);
      return text.isEmpty() ? List.of() : List.of(new Part.Text(text));
    }
    List<Part> parts = new ArrayList<>();
    for (Fields block : fields.objects(name)) {
      reader.part(block, block.needed("type")).ifPresent(parts::add);
    }
    return parts;
  }

  private static Optional<Part> text(Fields block, String type) {
    if (!type.equals("text")) {
      throw block.refusal(
          "type",
          "is '%s'; the models here read text only, so give blocks of the type 'text'"
              .formatted(type));
    }
    return Optional.of(block.needed("text")).filter(t -> !t.isEmpty()).map(Part.Text::new);
  }

  private static Optional<Part> given(Fields block, String type) {
    if (!type.equals("tool_result")) {
      return text(block, type);
    }
    StringBuilder result = new StringBuilder(block.flag("is_error", false) ? "Error: " : "");
    content(block, "content", MessageFields::text)
        .forEach(part -> result.append(((Part.Text) part).text()));
    return Optional.of(new Part.ToolResult(block.needed("tool_use_id"), result.toString()));
  }

  private static Optional<Part> said(Fields block, String type) {
    return switch (type) {
      case "thinking" ->
          Optional.of(block.text("thinking", ""))
              .filter(t -> !t.isEmpty())
              .map(Part.Reasoning::new);
      case "redacted_thinking" -> Optional.empty(); // nobody here can read it
      case "tool_use" -> Optional.of(ToolFields.call(block.needed("id"), block, "input"));
      default -> text(block, type);
    };
  }

  private static List<Tool> tools(Fields body) {
    return body.objects("tools").stream().map(MessageFields::tool).toList();
  }

  private static Tool tool(Fields tool) {
    String type = tool.text("type", "custom");
    if (!type.equals("custom")) {
      throw tool.refusal(
          "type",
          "is '%s'; tools that a model can call here are of the type 'custom'".formatted(type));
    }
    return ToolFields.tool(tool, "input_schema");
  }

  /** The variables that the template is told beside the messages. */
  private static Map<String, Object> variables(Fields body) {
    Map<String, Object> variables = new LinkedHashMap<>();
    body.object("output_config")
        .flatMap(output -> output.text("effort"))
        .ifPresent(effort -> variables.put(Thinking.EFFORT, effort));
    body.object("thinking")
        .map(thinking ->
            thinking.oneOf(
                "type", thinking.needed("type"), Set.of("enabled", "adaptive", "disabled")))
        .map(type -> Thinking.wanted(!type.equals("disabled")))
        .ifPresent(variables::putAll);
    return variables;
  }
}
