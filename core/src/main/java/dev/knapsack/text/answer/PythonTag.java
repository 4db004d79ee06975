package dev.knapsack.text.answer;

import java.util.List;
import java.util.Optional;

/** Calls behind the tag of Llama's models: JSON, or a method of a tool that is built in. */
record PythonTag() implements CallSyntax {
  private static final CallSyntax JSON = new JsonCalls("", "", false);
  private static final CallSyntax PYTHON = new LiteralCalls("");

  @Override
  public Span span(Schemas schemas) {
    Span json = JSON.span(schemas);
    Span python = PYTHON.span(schemas);
    return new Span() {
      private boolean code;

      @Override
      public int end(CharSequence body, boolean last) {
        int end = code ? NONE : json.end(body, last);
        code = end == NONE;
        return code ? python.end(body, last) : end;
      }

      @Override
      public Optional<List<Call>> calls(String body) {
        return (code ? python : json).calls(body);
      }
    };
  }
}
