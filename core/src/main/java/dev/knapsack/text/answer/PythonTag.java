package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.function.Consumer;
import java.util.List;
import java.util.Optional;

/** Calls behind the tag of Llama's models: JSON, or a method of a tool that is built in. */
record PythonTag() implements CallSyntax {
  private static final CallSyntax JSON = new JsonCalls("", "", false);
  private static final CallSyntax PYTHON = new LiteralCalls("");

  @Override
  public Span span(Schemas schemas, PartWriter parts) {
    Span json = JSON.span(schemas, parts);
    Span python = PYTHON.span(schemas, parts);
    return new Span() {
      private boolean code;

      @Override
      public int end(CharSequence body, boolean last, Consumer<Event> out) {
        int end = code ? NONE : json.end(body, last, out);
        code = end == NONE;
        return code ? python.end(body, last, out) : end;
      }

      @Override
      public boolean hasBegun() {
        return json.hasBegun();
      }

      @Override
      public Optional<List<Call>> calls(String body) {
        return (code ? python : json).calls(body);
      }
    };
  }
}
