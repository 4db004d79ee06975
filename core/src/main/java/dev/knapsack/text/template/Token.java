package dev.knapsack.text.template;

/**
 * A word of a template: what it is, its text (of a string literal its value), and where it begins.
 */
record Token(Kind kind, String text, int at) {
  enum Kind {
    TEXT("text"),
    VARIABLE_BEGIN("'{{'"),
    VARIABLE_END("'}}'"),
    BLOCK_BEGIN("'{%'"),
    BLOCK_END("'%}'"),
    NAME("name"),
    STRING("string"),
    INTEGER("integer"),
    FLOAT("float"),
    OPERATOR("operator"),
    END("end of the template");

    private final String words;

    Kind(String words) {
      this.words = words;
    }

    @Override
    public String toString() {
      return words;
    }
  }

  boolean is(String operator) {
    return kind == Kind.OPERATOR && text.equals(operator);
  }

  boolean isName(String name) {
    return kind == Kind.NAME && text.equals(name);
  }

  @Override
  public String toString() {
    return kind == Kind.NAME || kind == Kind.OPERATOR ? "'" + text + "'" : kind.toString();
  }
}
