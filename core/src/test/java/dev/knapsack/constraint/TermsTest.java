package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ConstraintException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TermsTest {
  private final Terms terms = new Terms();

  private static boolean matches(Term term, String text) {
    Term left = term;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      left = left.derive(b & 0xFF);
    }
    return left.nullable();
  }

  @Test
  void textsAreOfATermOrNot() {
    Term term =
        terms.sequence(
            terms.text("é"),
            terms.repeat(terms.character(CodePoints.range('α', 'ω')), 2, 3),
            terms.choice(terms.text("x"), terms.text("xy"), terms.empty()));

    assertThat(matches(term, "éαβ")).isTrue();
    assertThat(matches(term, "éαβγxy")).isTrue();
    assertThat(matches(term, "éα")).isFalse();
    assertThat(matches(term, "éαβγδ")).isFalse();
    assertThat(matches(term, "éαβxyx")).isFalse();
  }

  @Test
  void equalTermsAreOneObject() {
    Term digits = terms.repeat(terms.character(CodePoints.range('0', '9')), 0, -1);
    Term star = terms.sequence(digits, terms.text("."));

    assertThat(star.derive('7')).isSameAs(star);
    assertThat(terms.choice(star, digits)).isSameAs(terms.choice(digits, star, digits));
    assertThat(terms.sequence(terms.sequence(terms.text("a"), digits), star))
        .isSameAs(terms.sequence(terms.text("a"), terms.sequence(digits, star)));
    assertThat(terms.choice(terms.text("a"), terms.text("b")))
        .isSameAs(terms.character(CodePoints.range('a', 'b')));
  }

  @Test
  void namesMayStandForThemselves() {
    // Balanced brackets: what a regular language cannot say.
    Term nested = terms.reference("nested");
    terms.define(
        "nested",
        terms.choice(
            terms.empty(), terms.sequence(terms.text("("), nested, terms.text(")"), nested)));

    assertThat(matches(nested, "(()(()))()")).isTrue();
    assertThat(matches(nested, "(()")).isFalse();
    assertThat(matches(nested, "())")).isFalse();
    assertThat(matches(nested, "(".repeat(5000) + ")".repeat(5000))).isTrue();
  }

  @Test
  void whatBeginsWithItselfIsRefused() {
    Term one = terms.reference("one");
    terms.define("one", terms.choice(terms.text("x"), terms.sequence(terms.reference("two"))));
    terms.define("two", terms.sequence(terms.repeat(terms.text("y"), 0, 1), one, terms.text("z")));

    assertThatThrownBy(() -> one.derive('x'))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining("begins with itself");
  }

  @Test
  void whatIsNotDefinedIsRefused() {
    terms.define("one", terms.sequence(terms.text("x"), terms.reference("two")));

    assertThatThrownBy(() -> terms.reference("one").derive('x').derive('y'))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining("two: is not defined");
  }

  @Test
  void whatHasNoTextIsNotLive() {
    Term endless = terms.reference("endless");
    terms.define("endless", terms.sequence(terms.text("a"), endless));
    Term star = terms.repeat(terms.text("ab"), 1, -1);
    Term odd = terms.sequence(terms.repeat(terms.text("abab"), 0, -1), terms.text("ab"));
    Term even = terms.repeat(terms.text("abab"), 1, -1);

    assertThat(endless.live()).isFalse();
    assertThat(terms.choice(endless, terms.text("b")).live()).isTrue();
    assertThat(terms.both(star, odd).live()).isTrue();
    assertThat(terms.both(odd, even).never()).isFalse();
    assertThat(terms.both(odd, even).live()).isFalse();
    assertThat(terms.except(star, terms.choice(odd, even)).live()).isFalse();
    assertThat(terms.sequence(terms.text("x"), terms.both(odd, even)).live()).isFalse();
  }

  @Test
  void membersComeInAnyOrderEachOnce() {
    Term object =
        terms.members(
            new Members(
                List.of(
                    new Members.Member(terms.text("a"), true),
                    new Members.Member(terms.text("b"), false),
                    new Members.Member(terms.text("c"), true)),
                Optional.of(terms.character(CodePoints.range('x', 'z'))),
                3,
                4,
                terms.text(",")));

    for (String text : List.of("a,b,c", "c,b,a", "a,c,x", "x,x,c,a", "c,x,a,b")) {
      assertThat(matches(object, text)).as(text).isTrue();
    }
    for (String text :
        List.of("", "a", "a,c", "a,b", "a,b,x", "a,a,c", "a,b,c,", ",a,b,c", "a,c,x,y,z", "abc")) {
      assertThat(matches(object, text)).as(text).isFalse();
    }
  }

  @Test
  void membersThatCannotCompleteAreNotBegun() {
    Term object =
        terms.members(
            new Members(
                List.of(
                    new Members.Member(terms.text("a"), true),
                    new Members.Member(terms.text("b"), false),
                    new Members.Member(terms.never(), false)),
                Optional.empty(),
                0,
                1,
                terms.text(",")));

    assertThat(matches(object, "a")).isTrue();
    assertThat(object.derive('b').never()).isTrue();
    assertThat(object.derive('a').derive(',').never()).isTrue();
  }

  @Test
  void controlTokensAreSymbols() {
    Term term = terms.sequence(terms.text("a"), terms.special(7), terms.specialExcept(Set.of(7)));

    Term behind = term.derive('a').derive(Term.SPECIAL + 7);
    assertThat(behind.derive(Term.SPECIAL + 8).nullable()).isTrue();
    assertThat(behind.derive(Term.SPECIAL + 7).never()).isTrue();
    assertThat(term.derive(Term.SPECIAL + 7).never()).isTrue();
  }

  @Test
  void whatIsForgottenIsFoundAgain() {
    // Each text leads to states that no other has; far more of them than are remembered.
    Term term =
        terms.both(terms.repeat(terms.text("ab"), 0, 40_000), terms.repeat(terms.text("a"), 0, 0));
    Term counted = terms.sequence(terms.repeat(terms.text("ab"), 40_000, 40_000), terms.text("c"));

    assertThat(term.live()).isTrue();
    assertThat(matches(counted, "ab".repeat(40_000) + "c")).isTrue();
    assertThat(matches(counted, "ab".repeat(39_999) + "c")).isFalse();
  }

  /** A term beside a pattern of Java's that says the same. */
  private record Twin(Term term, String pattern) {}

  private Twin random(Random random, int depth) {
    int kind = depth == 0 ? random.nextInt(3) : random.nextInt(9);
    return switch (kind) {
      case 0 -> new Twin(terms.text("a"), "a");
      case 1 -> {
        String set = List.of("ab", "bé", "aé€", "€😀").get(random.nextInt(4));
        yield new Twin(terms.character(CodePoints.of(set)), "[" + set + "]");
      }
      case 2 -> new Twin(terms.text("b€"), "b€");
      case 3, 4 -> {
        Twin one = random(random, depth - 1);
        Twin two = random(random, depth - 1);
        yield new Twin(terms.sequence(one.term, two.term), one.pattern + two.pattern);
      }
      case 5, 6 -> {
        Twin one = random(random, depth - 1);
        Twin two = random(random, depth - 1);
        yield new Twin(
            terms.choice(one.term, two.term), "(?:" + one.pattern + "|" + two.pattern + ")");
      }
      case 7 -> {
        Twin one = random(random, depth - 1);
        int least = random.nextInt(3);
        int most = random.nextBoolean() ? -1 : least + random.nextInt(3);
        yield new Twin(
            terms.repeat(one.term, least, most),
            "(?:" + one.pattern + "){" + least + "," + (most < 0 ? "" : most) + "}");
      }
      default -> {
        yield new Twin(terms.character(CodePoints.of("aé").complement()), "[^aé]");
      }
    };
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    int length = random.nextInt(7);
    for (int i = 0; i < length; i++) {
      text.append(List.of("a", "b", "é", "€", "😀", "b€").get(random.nextInt(6)));
    }
    return text.toString();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void regularTermsAreWhatJavasPatternsAre(long seed) {
    Random random = new Random(seed);
    int matched = 0;
    for (int i = 0; i < 300; i++) {
      Twin one = random(random, 4);
      Twin two = random(random, 3);
      Pattern first = Pattern.compile(one.pattern, Pattern.DOTALL);
      Pattern second = Pattern.compile(two.pattern, Pattern.DOTALL);
      Term both = terms.both(one.term, two.term);
      Term except = terms.except(one.term, two.term);
      List<String> texts = new ArrayList<>(List.of(""));
      for (int j = 0; j < 30; j++) {
        texts.add(text(random));
      }
      for (String text : texts) {
        boolean a = first.matcher(text).matches();
        boolean b = second.matcher(text).matches();
        assertThat(matches(one.term, text)).as("%s: %s", one.pattern, text).isEqualTo(a);
        assertThat(matches(both, text)).as("%s & %s: %s", one, two, text).isEqualTo(a && b);
        assertThat(matches(except, text)).as("%s - %s: %s", one, two, text).isEqualTo(a && !b);
        if (a && b) {
          assertThat(both.live()).isTrue();
        }
        matched += a ? 1 : 0;
      }
    }
    assertThat(matched).isGreaterThan(200);
  }

  @Test
  void charactersAreTheirBytesInUtf8() {
    Random random = new Random(5);
    for (int i = 0; i < 40; i++) {
      CodePoints set = CodePoints.NONE;
      for (int j = 0; j <= random.nextInt(5); j++) {
        int most = List.of(0x80, 0x800, 0x10000, 0x110000).get(random.nextInt(4));
        int from = random.nextInt(most);
        set = set.or(CodePoints.range(from, Math.min(0x10FFFF, from + random.nextInt(most))));
      }
      set = random.nextBoolean() ? set.complement() : set;
      Term term = terms.character(set);
      int[] ranges = set.ranges();
      for (int j = 0; j < 500; j++) {
        int near =
            ranges.length == 0 ? 0 : ranges[random.nextInt(ranges.length)] - 1 + random.nextInt(3);
        int c = random.nextBoolean() ? random.nextInt(0x110000) : Math.clamp(near, 0, 0x10FFFF);
        if (c < 0xD800 || c > 0xDFFF) {
          assertThat(matches(term, Character.toString(c)))
              .as("%X in %s", c, set)
              .isEqualTo(set.has(c));
        }
      }
      Term bytes = term;
      for (int b : new int[] {0xED, 0xA0, 0x80}) {
        bytes = bytes.derive(b);
      }
      assertThat(bytes.never()).isTrue(); // half of a surrogate pair
    }
  }
}
