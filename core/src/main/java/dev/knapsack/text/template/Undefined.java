package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;

/**
 * The value of a name, attribute or item that is not there: empty and false, and refused by every
 * operation that needs a value.
 *
 * @param problem what is not there, for the message of the refusal
 */
record Undefined(String problem) {
  /** Of a longer name only the beginning is told. */
  private static final int LONGEST_NAME = 200;

  static Undefined name(String name) {
    return new Undefined("'" + name + "' is undefined");
  }

  static Undefined attribute(Object owner, String name) {
    String shown = name.length() > LONGEST_NAME ? name.substring(0, LONGEST_NAME) + "…" : name;
    return new Undefined("'" + described(owner) + "' has no attribute '" + shown + "'");
  }

  static Undefined item(Object owner, Object index) {
    return switch (index) {
      case MarkedText name -> attribute(owner, name.text());
      case Number _, Boolean _, None _ ->
          new Undefined(described(owner) + " has no element " + Values.string(index));
      default ->
          new Undefined(described(owner) + " has no element of type " + Values.typeName(index));
    };
  }

  private static String described(Object owner) {
    return owner == None.NONE ? "None" : Values.typeName(owner) + " object";
  }

  TemplateException refusal() {
    return new TemplateException(problem);
  }
}
