package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.function.Consumer;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Calls between {@code <tool_call>} and {@code </tool_call>}: as JSON (Hermes, Qwen), with a tag a
 * parameter (Qwen3-Coder), or with tags for keys and values (GLM). Which one it is, the call says.
 */
record TaggedCalls() implements CallSyntax {
  private static final String CLOSE = "</tool_call>";
  private static final String FUNCTION = "<function=";
  private static final String FUNCTION_END = "</function>";
  private static final String VALUE_END = "</arg_value>";
  private static final CallSyntax JSON = new JsonCalls("", CLOSE, false);

  private static final Pattern WHOLE =
      Pattern.compile("\\s*<function=([^>\\n]+)>(.*)</function>\\s*", Pattern.DOTALL);

  /** A value ends where another parameter begins, or none does: it may have tags itself. */
  private static final Pattern PARAMETER =
      Pattern.compile(
          "\\s*<parameter=([^>\\n]+)>\\n?(.*?)\\n?</parameter>(?=\\s*(?:<parameter=[^>\\n]+>|$))",
          Pattern.DOTALL);

  private static final Pattern PAIR =
      Pattern.compile(
          "\\s*<arg_key>(.*?)</arg_key>\\s*<arg_value>(.*?)</arg_value>(?=\\s*(?:<arg_key>|$))",
          Pattern.DOTALL);

  @Override
  public Span span(Schemas schemas, PartWriter parts) {
    return new TagSpan(schemas, parts);
  }

  private static final class TagSpan implements Span {
    private final Schemas schemas;
    private final Span json;
    private boolean tags;
    private int at;

    TagSpan(Schemas schemas, PartWriter parts) {
      this.schemas = schemas;
      this.json = JSON.span(schemas, parts);
    }

    @Override
    public int end(CharSequence body, boolean last, Consumer<Event> out) {
      if (!tags) {
        int end = json.end(body, last, out);
        if (end != NONE) {
          return end;
        }
        String begun = body.toString().strip();
        if (begun.startsWith("{") || begun.startsWith("[")) {
          return NONE;
        }
        tags = true;
      }
      if (!mayBegin(body)) {
        return NONE;
      }
      for (int found; (found = Marks.indexOf(body, CLOSE, at)) >= 0; at = found + 1) {
        if (ends(body.toString(), found)) {
          return found + CLOSE.length();
        }
      }
      at = Math.max(at, body.length() - CLOSE.length() + 1);
      boolean whole = last && !body.toString().equals(before(body.toString()));
      return whole ? body.length() : last ? NONE : MORE;
    }

    @Override
    public boolean hasBegun() {
      return json.hasBegun();
    }

    /** Says whether a call begins so: with a name of a tool, or the tag that has one. */
    private static boolean mayBegin(CharSequence body) {
      String begun = body.subSequence(0, Math.min(body.length(), 200)).toString().stripLeading();
      int line = begun.indexOf('\n');
      int tag = begun.indexOf('<', 1);
      int cut = Math.min(line < 0 ? begun.length() : line, tag < 0 ? begun.length() : tag);
      String first = begun.substring(0, cut).strip();
      return first.startsWith(FUNCTION) || FUNCTION.startsWith(first) || Call.isName(first);
    }

    /** Says whether the mark there is the end, and no part of a value. */
    private static boolean ends(String body, int mark) {
      String before = body.substring(0, mark).stripTrailing();
      return before.contains(FUNCTION)
          ? before.endsWith(FUNCTION_END)
          : !before.contains("<arg_key>") || before.endsWith(VALUE_END);
    }

    private static String before(String body) {
      String text = body.stripTrailing();
      return text.endsWith(FUNCTION_END) || text.endsWith(VALUE_END) ? "" : body;
    }

    @Override
    public Optional<List<Call>> calls(String body) {
      if (!tags) {
        return json.calls(body);
      }
      String inner =
          body.endsWith(CLOSE) ? body.substring(0, body.length() - CLOSE.length()) : body;
      Matcher function = WHOLE.matcher(inner);
      if (function.matches()) {
        return call(function.group(1).strip(), function.group(2), PARAMETER);
      }
      int key = inner.indexOf("<arg_key>");
      String name = (key < 0 ? inner : inner.substring(0, key)).strip();
      return call(name, key < 0 ? "" : inner.substring(key), PAIR);
    }

    private Optional<List<Call>> call(String name, String written, Pattern pattern) {
      JsonObject arguments = new JsonObject();
      Matcher one = pattern.matcher(written);
      int end = 0;
      while (one.find() && one.start() == end) {
        String key = one.group(1).strip();
        arguments.add(key, schemas.value(name, key, one.group(2)));
        end = one.end();
      }
      return Call.isName(name) && written.substring(end).isBlank()
          ? Optional.of(List.of(new Call(null, name, arguments)))
          : Optional.empty();
    }
  }
}
