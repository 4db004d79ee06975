package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.StringSet.Pattern;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * JSON as it is written in answers.
 *
 * <p>Between what belongs to the syntax may stand nothing, a space, or the end of a line and up to
 * twenty spaces or tabs, but not before a colon or a comma. A character of a text that is matched
 * or compared has one form: itself, or the short escape of those that JSON does not let stand.
 */
final class JsonText {
  private static final int INDENT = 20;

  private static final Map<Integer, String> ESCAPES =
      Map.of(
          (int) '"', "\\\"",
          (int) '\\', "\\\\",
          (int) '\b', "\\b",
          (int) '\f', "\\f",
          (int) '\n', "\\n",
          (int) '\r', "\\r",
          (int) '\t', "\\t");

  private static final CodePoints ESCAPED =
      CodePoints.of(ESCAPES.keySet().stream().mapToInt(c -> c).toArray());

  /** Characters that have no form but that of their number. */
  private static final CodePoints NUMBERED = CodePoints.range(0, 0x1F).minus(ESCAPED);

  private static final CodePoints PLAIN = CodePoints.ALL.minus(NUMBERED).minus(ESCAPED);

  private final Terms terms;
  private final Map<CodePoints, Term> characters = new HashMap<>();
  private final Map<Pattern, Term> found = new HashMap<>();
  private final Term blank;
  private final Term free;

  JsonText(Terms terms) {
    this.terms = terms;
    this.blank =
        terms.choice(
            terms.empty(),
            terms.text(" "),
            terms.sequence(
                terms.text("\n"), terms.repeat(terms.bytes(ByteSet.of(' ', '\t')), 0, INDENT)));
    Term hex =
        terms.bytes(
            ByteSet.range('0', '9').or(ByteSet.range('a', 'f')).or(ByteSet.range('A', 'F')));
    this.free =
        terms.choice(
            terms.character(PLAIN),
            terms.sequence(
                terms.text("\\"), terms.bytes(ByteSet.of('"', '\\', '/', 'b', 'f', 'n', 'r', 't'))),
            terms.sequence(terms.text("\\u"), unit(hex)));
  }

  /** Four digits of a character, or of both halves of a surrogate pair. */
  private Term unit(Term hex) {
    Term surrogate = terms.bytes(ByteSet.of('d', 'D'));
    Term pair =
        terms.sequence(
            surrogate,
            terms.bytes(ByteSet.of('8', '9', 'a', 'b', 'A', 'B')),
            hex,
            hex,
            terms.text("\\u"),
            surrogate,
            terms.bytes(ByteSet.range('c', 'f').or(ByteSet.range('C', 'F'))),
            hex,
            hex);
    ByteSet others =
        ByteSet.range('0', '9').or(ByteSet.of('a', 'b', 'c', 'e', 'f', 'A', 'B', 'C', 'E', 'F'));
    return terms.choice(
        terms.sequence(terms.bytes(others), hex, hex, hex),
        terms.sequence(surrogate, terms.bytes(ByteSet.range('0', '7')), hex, hex),
        pair);
  }

  /** The blanks that may stand between two marks of the syntax. */
  Term blank() {
    return blank;
  }

  Term quoted(Term content) {
    return terms.sequence(terms.text("\""), content, terms.text("\""));
  }

  /** Any character in any of its forms. */
  Term freeCharacter() {
    return free;
  }

  /** Any character in the one form that is compared. */
  Term exactCharacter() {
    return terms.choice(character(CodePoints.ALL), numbered(NUMBERED));
  }

  /** One character of a set, in the form that is compared. */
  Term character(CodePoints set) {
    return characters.computeIfAbsent(
        set,
        s -> {
          List<Term> options = new ArrayList<>();
          options.add(terms.character(s.and(PLAIN)));
          ESCAPES.forEach((character, escape) -> {
            if (s.has(character)) {
              options.add(terms.text(escape));
            }
          });
          Term usual = terms.choice(options);
          // A model that begins "\\u00" has most often other characters in mind.
          return usual.never() ? numbered(s.and(NUMBERED)) : usual;
        });
  }

  private Term numbered(CodePoints set) {
    List<Term> options = new ArrayList<>();
    for (int c = 0; c < 0x20; c++) {
      if (set.has(c)) {
        options.add(terms.text(escape(c)));
      }
    }
    return terms.choice(options);
  }

  private static String escape(int character) {
    return "\\u%04x".formatted(character);
  }

  /** The contents (between the quotes) of texts in which an expression is found. */
  Term found(Pattern pattern) {
    Term term = found.get(pattern);
    if (term == null) {
      term = pattern.regex().search(terms, this::character);
      found.put(pattern, term);
    }
    return term;
  }

  /** The content of a text, between its quotes. */
  static String content(String text) {
    StringBuilder content = new StringBuilder(text.length() + 8);
    text.codePoints()
        .forEach(c -> {
          if (NUMBERED.has(c)) {
            content.append(escape(c));
          } else {
            String escape = ESCAPES.get(c);
            content.append(escape == null ? Character.toString(c) : escape);
          }
        });
    return content.toString();
  }

  /** The name of a member, and what stands between it and its value. */
  Term member(String name, Term value) {
    return terms.sequence(terms.text("\"" + content(name) + "\":"), blank, value);
  }

  Term object(Members members) {
    return enclosed("{", terms.members(members), "}");
  }

  Term enclosed(String begin, Term content, String end) {
    return terms.sequence(terms.text(begin), blank, content, blank, terms.text(end));
  }

  Term separator() {
    return terms.sequence(terms.text(","), blank);
  }

  /** A value as it is, with the members of objects in any order. */
  Term value(JsonElement value) {
    return switch (value) {
      case JsonObject object ->
          object(
              new Members(
                  object.entrySet().stream()
                      .map(e -> new Members.Member(member(e.getKey(), value(e.getValue())), true))
                      .toList(),
                  Optional.empty(),
                  0,
                  -1,
                  separator()));
      case JsonArray array -> {
        List<Term> parts = new ArrayList<>();
        for (JsonElement item : array) {
          if (!parts.isEmpty()) {
            parts.add(separator());
          }
          parts.add(value(item));
        }
        yield enclosed("[", terms.sequence(parts), "]");
      }
      case JsonPrimitive text when text.isString() ->
          terms.text("\"" + content(text.getAsString()) + "\"");
      case JsonPrimitive other -> terms.text(other.getAsString());
      case JsonNull _ -> terms.text("null");
      default -> throw new IllegalArgumentException("no value of JSON: " + value);
    };
  }
}
