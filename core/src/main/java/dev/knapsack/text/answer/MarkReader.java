package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A reader of answers in which marks stand before reasoning and calls, and around them. */
final class MarkReader extends StepReader {
  private final String open;
  private final String close;

  /** The syntax of calls behind each mark; behind no mark at all for the empty one. */
  private final Map<String, CallSyntax> calls;

  private final Set<String> dropped;
  private final Schemas schemas;

  /** All that ends text. */
  private final List<String> marks = new ArrayList<>();

  private boolean reasoning;

  /** True while a call may stand here without a mark: nothing but such calls has come yet. */
  private boolean bare;

  /** The mark that {@link #span} follows. */
  private String mark = "";

  private CallSyntax.@Nullable Span span;

  /**
   * @param open the mark before reasoning; empty where there is none
   * @param reasoning whether the prompt ends within reasoning
   */
  MarkReader(
      String open,
      String close,
      boolean reasoning,
      Map<String, CallSyntax> calls,
      Set<String> dropped,
      Schemas schemas,
      PartWriter parts) {
    super(parts);
    this.open = open;
    this.close = close;
    this.reasoning = reasoning;
    this.calls = new LinkedHashMap<>(calls);
    this.dropped = dropped;
    this.schemas = schemas;
    this.bare = calls.containsKey("");
    marks.addAll(dropped);
    calls.keySet().stream().filter(m -> !m.isEmpty()).forEach(marks::add);
    if (!open.isEmpty()) {
      marks.add(open);
    }
    if (reasoning) {
      parts.mark();
    }
  }

  @Override
  boolean step(boolean last, Consumer<Event> out) {
    return span != null
        ? call(span, last, out)
        : reasoning ? reasoning(last, out) : text(last, out);
  }

  /** Reads a step on; whether there is another. */
  private boolean text(boolean last, Consumer<Event> out) {
    if (bare) {
      int first = 0;
      while (first < waiting.length() && isBetween(waiting.charAt(first))) {
        first++;
      }
      if (first < waiting.length()) {
        bare = false;
        if (waiting.charAt(first) == '{') { // the blanks before it are its mark
          begin("", first);
          return true;
        }
      } else if (!last) {
        return false;
      }
    }
    int found = -1;
    String which = "";
    for (String one : marks) {
      int at = one.equals(open) && parts.said() ? -1 : Marks.indexOf(waiting, one, 0);
      if (at >= 0 && (found < 0 || at < found)) {
        found = at;
        which = one;
      }
    }
    if (found < 0) {
      int held = last ? waiting.length() : Marks.held(waiting, marks);
      parts.text(take(held), out);
      return false;
    }
    parts.text(take(found), out);
    if (which.equals(open) && parts.said()) {
      return true; // it has come behind text, and is text
    }
    if (which.equals(open) || dropped.contains(which)) {
      waiting.delete(0, which.length());
      parts.mark();
      reasoning = which.equals(open);
    } else {
      begin(which, which.length());
    }
    return true;
  }

  private static boolean isBetween(char c) {
    return c == ';' || Character.isWhitespace(c);
  }

  private String take(int length) {
    String taken = waiting.substring(0, length);
    waiting.delete(0, length);
    return taken;
  }

  private boolean reasoning(boolean last, Consumer<Event> out) {
    int found = Marks.indexOf(waiting, close, 0);
    if (found < 0) {
      parts.reasoning(take(last ? waiting.length() : Marks.held(waiting, List.of(close))), out);
      return false;
    }
    parts.reasoning(take(found), out);
    waiting.delete(0, close.length());
    parts.mark();
    reasoning = false;
    return true;
  }

  /** Begins what may be calls: the mark, with blanks before it, is kept until it is known. */
  private void begin(String opening, int length) {
    mark = waiting.substring(0, length);
    waiting.delete(0, length);
    CallSyntax syntax = calls.get(opening);
    span = syntax == null ? null : syntax.span(schemas, parts);
  }

  private boolean call(CallSyntax.Span reading, boolean last, Consumer<Event> out) {
    int end = reading.end(waiting, last, out);
    if (end == CallSyntax.MORE && !last) {
      return false;
    }
    span = null;
    boolean called = reading.hasBegun();
    if (!called && end >= 0) {
      Optional<List<Call>> read = reading.calls(waiting.substring(0, end));
      read.ifPresent(whole -> parts.calls(whole, out));
      called = read.isPresent();
    }
    if (called) {
      waiting.delete(0, end);
      bare = calls.containsKey("");
    } else {
      parts.text(mark, out); // what follows is looked through again, without it
    }
    return true;
  }
}
