package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ConstraintException;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RegexTest {
  private static final String LETTERS = "aabb001-_. \n,é\u212a😀";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "a",
        "^a",
        "a$",
        "^a$",
        "^$",
        "^",
        "a|b$|^0",
        "(?:^|,)a(?:,|$)",
        "^(?:a|b)+?0{2,3}$",
        "a{0}b",
        "(a|^)b",
        "a(^b|0)",
        "(^a)?b$",
        "($|a)b*",
        "a*$",
        "^a*^b",
        "[ab]{2,}[^ab]?",
        "\\d\\D",
        "\\w+\\W\\w",
        "[\\w\\-.]+",
        "^[^\\d,]{3}$",
        "(?<name>ab|01)(?:-\\.)?",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\u{1F600}?a",
        "^.{2}$",
        "\\x61|\\cJ",
        "[a-b0-]+",
        "\\p{L}{3}",
        "\\P{L}{3}",
        "^(?:a(?:b(?:0|1)*)*)+$",
        "a{,2}",
        "x]}",
        "^(?!a)\\w",
        "^(?!^[-.]*$)-?0*\\.?0*$",
        "^(?!.*--)[-a0]+$",
        "a(?=b)",
        "a(?!b|$)",
        "(?:a|b(?=0))(?!-)",
        "^(?=.*0)(?=.*a)\\w*$"
      })
  void findsWhatJavaFinds(String pattern) {
    // Two escapes that Java writes otherwise.
    Pattern java =
        Pattern.compile(
            pattern
                .replace("\\u{1F600}", "\\x{1F600}")
                .replace("a{,2}", "a\\{,2}")
                .replace("x]}", "x]\\}"));
    Terms terms = new Terms();
    Regex regex = Regex.parse(pattern);
    Term search = regex.search(terms, terms::character);
    Term whole = regex.whole(terms, terms::character);
    int[] letters = LETTERS.codePoints().toArray();
    Random random = new Random(7);
    for (int i = 0; i < 1_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int length = random.nextInt(6); length > 0; length--) {
        text.appendCodePoint(letters[random.nextInt(letters.length)]);
      }
      // Java's '$' also stands before a last line end.
      if (text.toString().endsWith("\n")) {
        continue;
      }
      boolean expected = java.matcher(text).find();
      assertThat(Walk.accepts(search, text.toString())).as(text.toString()).isEqualTo(expected);
      assertThat(Walk.accepts(whole, text.toString()))
          .as(text.toString())
          .isEqualTo(java.matcher(text).matches());
    }
    if (whole.live()) {
      String text = Walk.through(whole, random).orElseThrow();
      assertThat(text).matches(java);
      assertThat(Walk.accepts(search, text)).isTrue();
    }
  }

  @Test
  void standsForWhatAllDialectsTakeOrForWhatAnyTakes() {
    Terms terms = new Terms();
    for (String doubtful : new String[] {"\u00a0", "\u2028", "\u0085", "\u001c"}) {
      Regex sure = Regex.parse("^\\s$");
      Regex possible = Regex.parseWide("^\\s$");
      assertThat(Walk.accepts(sure.search(terms, terms::character), doubtful)).isFalse();
      assertThat(Walk.accepts(possible.search(terms, terms::character), doubtful)).isTrue();
      assertThat(Walk.accepts(Regex.parse("^[^\\s]$").search(terms, terms::character), doubtful))
          .isFalse();
      assertThat(
              Walk.accepts(Regex.parseWide("^[^\\s]$").search(terms, terms::character), doubtful))
          .isTrue();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '@',
      quoteCharacter = '#',
      value = {
        "(?:(?!a)b)* @ ahead inside a repetition",
        "(?!^a)b @ ahead of a place",
        "(?=a)* @ repetition of a place",
        "(?<=a)b @ look-behind",
        "(a)\\1 @ back reference",
        "(?<n>a)\\k<n> @ back reference",
        "\\bword\\b @ word boundary",
        "a** @ repetition of a repetition",
        "*a @ nothing before it",
        "(a @ without ')'",
        "a) @ without '('",
        "[a @ without ']'",
        "[b-a] @ last character comes before",
        "a{3,2} @ 3 to 2 times",
        "\\A @ ECMAScript does not have",
        "\\ud83d @ surrogate",
        "\\p{Nonsense} @ not known",
        "(?i:a) @ group of another kind",
        "(?:^a){2} @ inside a repetition"
      })
  void refusesWhatItCannotHold(String pattern, String problem) {
    assertThatThrownBy(() -> Regex.parse(pattern))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining(problem);
  }
}
