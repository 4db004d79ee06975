package dev.knapsack.constraint;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * Marks of templates as terms: control tokens where the vocabulary has them so, else text.
 *
 * @param tokens texts that may be control tokens
 * @param control the control token that the vocabulary writes so, or -1
 */
record Marks(Terms terms, List<String> tokens, ToIntFunction<String> control) {
  /** A text with marks in it, each as the vocabulary has it. */
  Term of(String text) {
    List<Term> parts = new ArrayList<>();
    int from = 0;
    for (int at = 0; at < text.length(); ) {
      String mark = markAt(text, at);
      if (mark.isEmpty()) {
        at++;
        continue;
      }
      parts.add(terms.text(text.substring(from, at)));
      parts.add(terms.special(control.applyAsInt(mark)));
      at += mark.length();
      from = at;
    }
    parts.add(terms.text(text.substring(from)));
    return terms.sequence(parts);
  }

  /** The longest control token that a text has at a place. */
  private String markAt(String text, int at) {
    String longest = "";
    for (String token : tokens) {
      if (text.startsWith(token, at)
          && token.length() > longest.length()
          && control.applyAsInt(token) >= 0) {
        longest = token;
      }
    }
    return longest;
  }

  /** Any text in which none of these is spelled out. */
  Term without(List<String> excluded) {
    Term any = terms.repeat(terms.character(CodePoints.ALL), 0, -1);
    if (excluded.isEmpty()) {
      return any;
    }
    Term one = terms.choice(excluded.stream().map(terms::text).toList());
    return terms.except(any, terms.sequence(any, one, any));
  }
}
