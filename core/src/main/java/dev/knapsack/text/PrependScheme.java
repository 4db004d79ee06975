package dev.knapsack.text;

/** Before which pieces {@code Metaspace} puts a space. */
enum PrependScheme {
  /** All that do not begin with one. */
  ALWAYS,
  /** The one that begins the text, unless it begins with one. */
  FIRST,
  NEVER;

  /** The scheme of a pre-tokenizer or decoder; files before it had a name only say yes or no. */
  static PrependScheme read(Component component) {
    PrependScheme scheme =
        switch (component.text("prepend_scheme", "always")) {
          case "always" -> ALWAYS;
          case "first" -> FIRST;
          case "never" -> NEVER;
          default ->
              throw component.wrong(
                  "prepend_scheme",
                  "'"
                      + component.text("prepend_scheme")
                      + "' is not known; known are always, first, never");
        };
    return component.flag("add_prefix_space", true) ? scheme : NEVER;
  }
}
