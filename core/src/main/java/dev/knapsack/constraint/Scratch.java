package dev.knapsack.constraint;

import dev.knapsack.constraint.StringSet.Pattern;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** Answers about languages that are needed while the terms of a constraint are still being made. */
final class Scratch {
  private final Terms terms = new Terms();
  private final JsonText text = new JsonText(terms);
  private final Map<Pattern, Term> searches = new HashMap<>();
  private final Map<StringSet, Boolean> live = new HashMap<>();

  /** Says whether an expression is found in a text. */
  boolean isFound(Pattern pattern, String in) {
    Term term = searches.get(pattern);
    if (term == null) {
      term = pattern.regex().search(terms, terms::character);
      searches.put(pattern, term);
    }
    for (byte one : in.getBytes(StandardCharsets.UTF_8)) {
      term = term.derive(one & 0xFF);
    }
    return term.nullable();
  }

  /** Says whether there is a text in a set. */
  boolean isLive(StringSet set) {
    Boolean known = live.get(set);
    if (known == null) {
      known = set.name(terms, text).live();
      live.put(set, known);
    }
    return known;
  }
}
