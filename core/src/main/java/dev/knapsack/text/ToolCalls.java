package dev.knapsack.text;

import dev.knapsack.text.answer.StrictJson;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The calls of tools in a conversation, in the form that a template writes: arguments as an object
 * or as its JSON, contents beside calls as null or as no text, identifiers and names of results
 * ({@link CallLinks}).
 *
 * <p>Clients send arguments as JSON and contents as null; templates are written for what was there
 * when their model was trained.
 */
final class ToolCalls {
  static final String CALLS = "tool_calls";

  private static final String ARGUMENTS = "arguments";
  static final String RESULT_OF = "tool_call_id";
  private static final String USUAL_ID = "call_Ab0123456789abcdefghijkl";
  private static final String SHORT_ID = "aB3dE6gH9";

  /** Of the tool, where its result stands. */
  private static final String NAME = "Qzjxname";

  /**
   * The form in which a template is given a call.
   *
   * @param id of the call and its result; null for none
   * @param object whether arguments are an object
   * @param content beside the call
   * @param result whether the call's result follows
   * @param named whether the result has the tool's name
   */
  private record Form(
      @Nullable String id,
      boolean object,
      @Nullable Object content,
      boolean result,
      boolean named) {
    Form withId(@Nullable String id) {
      return new Form(id, object, content, result, named);
    }

    Form withObject(boolean object) {
      return new Form(id, object, content, result, named);
    }

    Form withContent(@Nullable Object content) {
      return new Form(id, object, content, result, named);
    }

    Form withNamed(boolean named) {
      return new Form(id, object, content, result, named);
    }
  }

  private final Fitting fitting;

  ToolCalls(Fitting fitting) {
    this.fitting = fitting;
  }

  private static List<?> calls(TemplateMessage message) {
    return message.more().get(CALLS) instanceof List<?> calls ? calls : List.of();
  }

  /** Says whether a message has calls, and so may be without content. */
  static boolean in(TemplateMessage message) {
    return !calls(message).isEmpty();
  }

  List<TemplateMessage> fitted(List<TemplateMessage> messages) {
    if (messages.stream().noneMatch(ToolCalls::in)) {
      return messages;
    }
    return form().map(form -> fitted(messages, form)).orElse(messages);
  }

  // What the template expects

  /** The first form that is written at all, made what is written best. */
  private Optional<Form> form() {
    for (boolean result : new boolean[] {true, false}) {
      for (Object content : List.of("", List.of(Fitting.part("")))) {
        for (String id : List.of(USUAL_ID, SHORT_ID)) {
          Form form = new Form(id, true, content, result, true);
          String object = written(form);
          String text = written(form.withObject(false));
          if (object != null || text != null) {
            return Optional.of(best(form.withObject(takesObject(object, text))));
          }
        }
      }
    }
    return Optional.empty();
  }

  private Form best(Form form) {
    Form best = form;
    String named = written(best);
    if (keepsNull(named, written(best.withContent(null)))) {
      best = best.withContent(null);
    }
    best = best.withNamed(named != null && named.contains(NAME));
    boolean any = USUAL_ID.equals(form.id) && written(best.withId(null)) != null;
    return any ? best.withId(null) : best;
  }

  private @Nullable String written(Form form) {
    Map<String, Object> arguments = Map.of(Fitting.NEEDLE, "v");
    Map<String, @Nullable Object> function = new LinkedHashMap<>();
    function.put("name", "f");
    function.put(ARGUMENTS, form.object ? arguments : StrictJson.write(arguments));
    Map<String, @Nullable Object> call = new LinkedHashMap<>();
    Map<String, @Nullable Object> answer = new LinkedHashMap<>();
    if (form.id != null) {
      call.put("id", form.id);
      answer.put(RESULT_OF, form.id);
    }
    call.put("type", "function");
    call.put("function", function);
    if (form.named) {
      answer.put("name", NAME);
    }
    List<TemplateMessage> messages = new ArrayList<>();
    messages.add(TemplateMessage.user("u"));
    messages.add(new TemplateMessage("assistant", form.content, Map.of(CALLS, List.of(call))));
    if (form.result) {
      messages.add(new TemplateMessage("tool", "r", answer));
    }
    return fitting.written(messages);
  }

  /**
   * Says whether arguments are written from an object: they are, unless it becomes a Python value
   * where a text becomes JSON.
   */
  private static boolean takesObject(@Nullable String object, @Nullable String text) {
    String name = Fitting.NEEDLE;
    if (object == null) {
      return false;
    }
    boolean fromText = text != null && text.contains('"' + name + '"');
    return object.contains(name) ? !(fromText && object.contains("'" + name + "':")) : !fromText;
  }

  /** Says whether calls are written beside null, and null is not: a template that looks for it. */
  private static boolean keepsNull(@Nullable String empty, @Nullable String written) {
    return written != null
        && written.contains(Fitting.NEEDLE)
        && (empty == null || words(written) <= words(empty));
  }

  private static int words(String text) {
    return text.split("None|null", -1).length;
  }

  // What it is given

  private static List<TemplateMessage> fitted(List<TemplateMessage> messages, Form form) {
    CallLinks links = new CallLinks(form.id != null, SHORT_ID.equals(form.id), form.named);
    List<TemplateMessage> fitted = new ArrayList<>();
    for (TemplateMessage message : messages) {
      Map<String, @Nullable Object> more = new LinkedHashMap<>(message.more());
      Object content = message.content();
      if (in(message)) {
        List<Object> calls = new ArrayList<>();
        for (Object call : calls(message)) {
          calls.add(call instanceof Map<?, ?> map ? fitted(map, form, links) : call);
        }
        more.put(CALLS, calls);
        boolean empty = content == null || (content.equals("") && form.content != null);
        content = empty ? form.content : content;
      } else if (message.role().equals("tool")) {
        links.result(more);
      }
      fitted.add(new TemplateMessage(message.role(), content, more));
    }
    return fitted;
  }

  private static Map<String, @Nullable Object> fitted(Map<?, ?> call, Form form, CallLinks links) {
    Map<String, @Nullable Object> fitted = new LinkedHashMap<>();
    call.forEach((key, value) -> fitted.put(String.valueOf(key), value));
    if (fitted.get("function") instanceof Map<?, ?> function) {
      Map<String, @Nullable Object> inner = new LinkedHashMap<>();
      function.forEach((key, value) -> inner.put(String.valueOf(key), value));
      inner.put(ARGUMENTS, arguments(inner.get(ARGUMENTS), form.object));
      fitted.put("function", inner);
      links.call(fitted, inner.get("name"));
    } else {
      fitted.put(ARGUMENTS, arguments(fitted.get(ARGUMENTS), form.object));
      links.call(fitted, fitted.get("name"));
    }
    return fitted;
  }

  private static Object arguments(@Nullable Object given, boolean object) {
    Object some = given == null || given.equals("") ? Map.of() : given;
    if (object) {
      return some instanceof String text
          ? Given.object(text).<Object>map(o -> o).orElse(text)
          : some;
    }
    return some instanceof Map<?, ?> map ? StrictJson.write(map) : some;
  }
}
