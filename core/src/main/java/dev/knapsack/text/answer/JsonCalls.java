package dev.knapsack.text.answer;

import com.google.gson.JsonObject;
import java.util.List;
import java.util.Optional;

/**
 * Calls as JSON: objects with a name and arguments, or a name before the JSON of its arguments.
 * Whether a mark is the end or a part of a string, the JSON says.
 *
 * @param separator stands between what is before the JSON and the JSON; empty if nothing is
 * @param close the mark that ends it; empty if it ends with the JSON
 * @param known calls are those of tools that there are: without marks, JSON may be an answer
 */
record JsonCalls(String separator, String close, boolean known) implements CallSyntax {
  /** The mark that Mistral's models write between a call's name and its identifier. */
  private static final String ID = "[CALL_ID]";

  private static final String FENCE = "```";

  @Override
  public Span span(Schemas schemas) {
    return new JsonSpan(schemas);
  }

  private final class JsonSpan implements Span {
    private final Schemas schemas;
    private int start = -1;
    private int at;
    private int depth;
    private boolean string;
    private boolean escaped;

    /** Behind the JSON; 0 while it has not ended. */
    private int ended;

    JsonSpan(Schemas schemas) {
      this.schemas = schemas;
    }

    @Override
    public int end(CharSequence body, boolean last) {
      if (start < 0) {
        int found = start(body);
        if (found < 0) {
          return found;
        }
        start = found;
        at = found;
      }
      while (ended == 0 && at < body.length()) {
        scan(body.charAt(at++));
      }
      return ended == 0 ? MORE : closed(body, last);
    }

    private int start(CharSequence body) {
      int first = afterBlanks(body, 0);
      if (first == body.length()) {
        return MORE;
      }
      if (opens(body.charAt(first))) {
        return first;
      }
      if (separator.isEmpty()) {
        return NONE;
      }
      int found = Marks.indexOf(body, separator, Math.max(first, at - separator.length()));
      if (found < 0) {
        at = body.length();
        return MORE;
      }
      for (int i = found + separator.length(); i < body.length(); i++) {
        if (opens(body.charAt(i))) {
          return i;
        }
      }
      at = found + separator.length();
      return MORE;
    }

    private static boolean opens(char c) {
      return c == '{' || c == '[';
    }

    private void scan(char c) {
      if (string) {
        string = escaped || c != '"';
        escaped = !escaped && c == '\\';
      } else if (c == '"') {
        string = true;
      } else if (opens(c)) {
        depth++;
      } else if (c == '}' || c == ']') {
        depth--;
        ended = depth == 0 ? at : 0;
      }
    }

    private int closed(CharSequence body, boolean last) {
      int next = afterBlanks(body, ended);
      if (!close.equals(FENCE) && Marks.startsWith(body, next, FENCE)) {
        next = afterBlanks(body, next + FENCE.length());
      }
      if (close.isEmpty()) {
        return ended;
      }
      if (Marks.startsWith(body, next, close)) {
        return next + close.length();
      }
      boolean may = Marks.mayBegin(body, next, close) || Marks.mayBegin(body, next, FENCE);
      return last ? ended : may ? MORE : NONE;
    }

    @Override
    public Optional<List<Call>> calls(String body) {
      String before = body.substring(0, start).strip();
      return StrictJson.parse(body.substring(start, ended))
          .flatMap(json ->
              before.isEmpty() || before.equals(separator)
                  ? Call.of(json)
                  : json instanceof JsonObject arguments
                      ? named(before, arguments)
                      : Optional.empty())
          .filter(calls -> !known || calls.stream().allMatch(c -> schemas.has(c.name())));
    }

    /** One call, whose name stands before its arguments. */
    private Optional<List<Call>> named(String before, JsonObject arguments) {
      int cut = before.indexOf(separator);
      String behind = before.substring(cut + separator.length());
      // DeepSeek V3 has "function", and the name behind the separator.
      String name =
          behind.isBlank() ? before.substring(0, cut) : behind.replace(FENCE + "json", "");
      String id = null;
      int identified = name.indexOf(ID);
      if (identified >= 0) {
        id = name.substring(identified + ID.length()).strip();
        name = name.substring(0, identified);
      }
      String only = name.strip();
      return Call.isName(only)
          ? Optional.of(List.of(new Call(id, only, arguments)))
          : Optional.empty();
    }
  }

  private static int afterBlanks(CharSequence body, int from) {
    int at = from;
    while (at < body.length() && Character.isWhitespace(body.charAt(at))) {
      at++;
    }
    return at;
  }
}
