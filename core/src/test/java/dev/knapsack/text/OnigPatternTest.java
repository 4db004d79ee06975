package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.regex.MatchResult;
import java.util.regex.PatternSyntaxException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What Oniguruma in Ruby's syntax means, and Java otherwise would not. */
class OnigPatternTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "\\p{N}{1,3}+ 1234567 1234567", // an interval over and over, not a possessive one
        "\\d{,2}x 123x 23x",
        "\\h+ xaf09x af09",
        "(?m:a.b) a~b a~b", // ~ is a line feed
        "a(?i)b|c aC aC", // the option reaches over the bar, and takes it in
        "(?i:\\p{Lu})x axAx Ax",
        "[[:punct:]]+ a$\u20AC!b $\u20AC!",
        "\\p{Punct}+ a$!b !",
        "\\p{^L}+ ab12c 12",
        "\\w+ -\u00BDx\u200D \u00BDx",
        "[\\w]+ -\u00BDx\u200D x",
        "[a&&b]|} } }",
        "(?<name>a)\\k<name> xaax aa",
        "(?#note)a ba a",
        "\\x{1D400}+\\x41 A𝐀𝐀A 𝐀𝐀A",
        "[\\x{1D400}-\\x{1D41F}]+ A𝐀𝐁A 𝐀𝐁",
        "\\bx\\b 𝐀x-x x"
      })
  void theFirstMatch(String regex, String text, String match) {
    assertThat(OnigPattern.compile(regex).matcher(text.replace('~', '\n')).results().findFirst())
        .map(MatchResult::group)
        .contains(match.replace('~', '\n'));
  }

  @ParameterizedTest
  @CsvSource({
    "'(?<=\\p{L})-', '\uD835\uDC00-', 1",
    "'(?<!\\p{L})-', '\uD835\uDC00-', 0",
    "'\\bx', '\uD835\uDC00x', 0",
    "'\\Bx', '\uD835\uDC00x', 1",
    "'^.', 'a\nb\rc', 2",
    "'b$', 'b\nb\rb', 2"
  })
  void howManyMatches(String regex, String text, long count) {
    assertThat(OnigPattern.compile(regex).matcher(text).results().count()).isEqualTo(count);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(?~a)",
        "a)",
        "[a",
        "a\\",
        "\\p{L",
        "\\p{Nothing}",
        "(?@a)",
        "h\\Ke",
        "\\y",
        "\\Y",
        "(a)\\g<1>"
      })
  void whatIsNoExpression(String regex) {
    assertThatThrownBy(() -> OnigPattern.compile(regex)).isInstanceOf(PatternSyntaxException.class);
  }
}
