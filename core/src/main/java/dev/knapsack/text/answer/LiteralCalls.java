package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.function.Consumer;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Calls as literals: {@code [name(key="value")]} as Python writes them, or {@code call:name{…}} as
 * Gemma's models do.
 *
 * @param close the mark that ends them; empty if only the end of the answer does
 */
record LiteralCalls(String close) implements CallSyntax {
  /** The method that Llama's models write behind the name of a tool that is built in. */
  private static final String METHOD = ".call";

  @Override
  public Span span(Schemas schemas, PartWriter parts) {
    return new Span() {
      private int at;

      @Override
      public int end(CharSequence body, boolean last, Consumer<Event> out) {
        int found = close.isEmpty() ? -1 : Marks.indexOf(body, close, at);
        at = Math.max(0, body.length() - close.length() + 1);
        return found >= 0 ? found + close.length() : last ? body.length() : MORE;
      }

      @Override
      public Optional<List<Call>> calls(String body) {
        boolean closed = !close.isEmpty() && body.endsWith(close);
        String inner = closed ? body.substring(0, body.length() - close.length()) : body;
        try {
          List<Call> calls = read(new Literals(inner));
          return calls.isEmpty() ? Optional.empty() : Optional.of(calls);
        } catch (Literals.Malformed _) {
          return Optional.empty();
        }
      }
    };
  }

  private static List<Call> read(Literals literals) throws Literals.Malformed {
    List<Call> calls = new ArrayList<>();
    boolean list = literals.skip("[");
    while (!literals.atEnd()) {
      if (literals.skip("call:")) {
        String name = literals.word();
        if (!(literals.value() instanceof JsonObject arguments)) {
          throw new Literals.Malformed();
        }
        calls.add(new Call(null, name, arguments));
      } else {
        calls.add(python(literals));
      }
      if (!literals.skip(",")) {
        break;
      }
    }
    if (list) {
      literals.expect("]");
    }
    if (!literals.atEnd()) {
      throw new Literals.Malformed();
    }
    return calls;
  }

  private static Call python(Literals literals) throws Literals.Malformed {
    String name = literals.word();
    JsonObject arguments = new JsonObject();
    literals.expect("(");
    while (!literals.skip(")")) {
      String key = literals.word();
      literals.expect("=");
      arguments.add(key, literals.value());
      if (!literals.skip(",")) {
        literals.expect(")");
        break;
      }
    }
    boolean method = name.endsWith(METHOD);
    return new Call(
        null, method ? name.substring(0, name.length() - METHOD.length()) : name, arguments);
  }
}
