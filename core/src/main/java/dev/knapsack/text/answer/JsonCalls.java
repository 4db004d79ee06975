package dev.knapsack.text.answer;

import com.google.gson.JsonObject;
import dev.knapsack.generation.Event;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

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
  public Span span(Schemas schemas, PartWriter parts) {
    return new JsonSpan(schemas, parts);
  }

  private final class JsonSpan implements Span {
    private final Schemas schemas;
    private final PartWriter parts;
    private final JsonScan scan = new JsonScan();
    private int start = -1;
    private int at;

    /** Behind the JSON; 0 while it has not ended. */
    private int ended;

    /** The text before the JSON, if it has a call's name. */
    private String before = "";

    /** Objects and lists around the object of a call. */
    private int outer;

    /** The place of the object of a call that is read; -1 between them. */
    private int object = -1;

    /** Calls that have come before any has begun. */
    private final List<Call> pending = new ArrayList<>();

    /** True where something has come that is no call: none begins before all is there. */
    private boolean uncertain;

    private boolean begun;

    /** The call whose arguments may begin, without them. */
    private @Nullable Call next;

    /** Objects and lists around the arguments. */
    private int around;

    /** The place of what has not been given of the arguments. */
    private int given;

    /** True while arguments are given; false again behind them. */
    private boolean open;

    /** The call of the object that is read has begun. */
    private boolean called;

    /** No JSON goes on so: arguments are all before the closing mark. */
    private boolean broken;

    JsonSpan(Schemas schemas, PartWriter parts) {
      this.schemas = schemas;
      this.parts = parts;
    }

    @Override
    public boolean hasBegun() {
      return begun;
    }

    @Override
    public int end(CharSequence body, boolean last, Consumer<Event> out) {
      if (start < 0) {
        int found = start(body);
        if (found < 0) {
          return found;
        }
        begin(body, found);
      }
      while (ended == 0 && !broken && at < body.length()) {
        if (!step(body, out)) {
          if (!begun) {
            return NONE;
          }
          broken = open;
          ended = open ? 0 : behindCalls();
        }
      }
      if (broken) {
        return broken(body, last, out);
      }
      if (open) {
        give(body, at, out);
      }
      if (ended == 0 && !(last && begun)) {
        return MORE;
      }
      if (open) { // the answer ends within them
        end(out);
        return at;
      }
      ended = ended == 0 ? behindCalls() : ended;
      return closed(body, last);
    }

    private void begin(CharSequence body, int place) {
      start = place;
      at = place;
      String text = body.subSequence(0, place).toString().strip();
      before = text.equals(separator) ? "" : text;
      outer = body.charAt(place) == '[' ? 1 : 0;
      if (!before.isEmpty()) {
        uncertain = outer > 0;
        next = known(named(before, new JsonObject())).orElse(null);
        given = place;
      }
    }

    /** The call, if there is one and it is of a tool that there is. */
    private Optional<Call> known(Optional<List<Call>> calls) {
      return calls
          .filter(all -> !uncertain && all.size() == 1)
          .map(List::getFirst)
          .filter(call -> schemas.has(call.name()));
    }

    /** The place behind the calls that have been given: what follows is text. */
    private int behindCalls() {
      return object >= 0 && !called ? object : at;
    }

    /** Reads a character; false if no JSON, or none that is calls, goes on so. */
    private boolean step(CharSequence body, Consumer<Event> out) {
      char c = body.charAt(at);
      int depth = scan.depth();
      boolean value = scan.expectsValue() && !Character.isWhitespace(c);
      boolean stray = begun && before.isEmpty() && object < 0 && value && c != '{';
      if (stray || !scan.next(c)) {
        return false;
      }
      if (next != null && !open && at > given && !Character.isWhitespace(c)) {
        open(next, out); // its first key, or that it has none
      }
      if (value && before.isEmpty()) {
        value(body, c, depth);
      }
      at++;
      if (open && scan.depth() == around && c == '}') {
        give(body, at, out);
        end(out);
      }
      if (object >= 0 && scan.depth() == outer && c == '}' && !objectEnds(body, out)) {
        at--;
        return false;
      }
      ended = scan.isComplete() ? at : 0;
      return true;
    }

    private void value(CharSequence body, char c, int depth) {
      if (depth == outer && object < 0) {
        object = c == '{' ? at : -1;
        uncertain |= c != '{' && scan.depth() > 0 && depth > 0;
      } else if (c == '{' && !called && next == null && isArguments(depth)) {
        // All before them is an object if they are left out.
        String head = body.subSequence(object, at) + "null" + "}".repeat(depth - outer);
        next = known(StrictJson.parse(head).flatMap(Call::of)).orElse(null);
        around = depth;
        given = at;
      }
    }

    private boolean isArguments(int depth) {
      return Call.ARGUMENTS.contains(scan.key(depth))
          && (depth == outer + 1
              || (depth == outer + 2 && scan.key(outer + 1).equals(Call.FUNCTION)));
    }

    private void open(Call call, Consumer<Event> out) {
      begun = true;
      called = true;
      open = true;
      next = null;
      parts.calls(pending, out);
      pending.clear();
      parts.beginCall(call.id(), call.name(), out);
    }

    private void give(CharSequence body, int to, Consumer<Event> out) {
      parts.arguments(body.subSequence(given, to).toString(), out);
      given = to;
    }

    private void end(Consumer<Event> out) {
      parts.endCall(out);
      open = false;
    }

    /** The object of a call has ended; false if it is none, behind others that are. */
    private boolean objectEnds(CharSequence body, Consumer<Event> out) {
      if (!called) {
        Optional<List<Call>> whole =
            StrictJson.parse(body.subSequence(object, at).toString())
                .flatMap(Call::of)
                .filter(calls -> !known || schemas.has(calls.getFirst().name()));
        if (whole.isEmpty() && begun) {
          return false;
        }
        uncertain |= whole.isEmpty();
        whole.ifPresent(
            begun ? calls -> parts.calls(calls, out) : pending::addAll);
      }
      called = false;
      next = null;
      object = -1;
      return true;
    }

    private int broken(CharSequence body, boolean last, Consumer<Event> out) {
      int found = close.isEmpty() ? -1 : Marks.indexOf(body, close, given);
      CharSequence rest = body.subSequence(given, body.length());
      int to =
          found >= 0
              ? found
              : last ? body.length() : given + Marks.held(rest, List.of(close));
      give(body, to, out);
      if (found < 0 && !last) {
        return MORE;
      }
      end(out);
      return found < 0 ? to : to + close.length();
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
      return last ? ended : may ? MORE : begun ? ended : NONE;
    }

    @Override
    public Optional<List<Call>> calls(String body) {
      return StrictJson.parse(body.substring(start, ended))
          .flatMap(json ->
              before.isEmpty()
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
