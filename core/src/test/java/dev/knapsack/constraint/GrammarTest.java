package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class GrammarTest {
  private static boolean matches(String grammar, String text) {
    Term root = Language.of(new Constraint.Grammar(grammar)).root;
    return Masks.derived(root, text.getBytes(StandardCharsets.UTF_8), 0).nullable();
  }

  @Test
  void readsWhatLlamaCppReads() {
    // Of the examples in llama.cpp: chess.gbnf, arithmetic.gbnf.
    String chess =
        """
        # Specifies chess moves as a list in algebraic notation, using PGN conventions

        # Force first move to "1. ", then any 1-2 digit number after, relying on model to follow the pattern
        root    ::= "1. " move " " move "\\n" ([1-9] [0-9]? ". " move " " move "\\n")+
        move    ::= (pawn | nonpawn | castle) [+#]?

        # piece type, optional file/rank, optional capture, dest file & rank
        nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]

        # optional file & capture, dest file & rank, optional promotion
        pawn    ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?

        castle  ::= "O-O" "-O"?
        """;
    assertThat(matches(chess, "1. e4 e5\n2. Nf3 Nc6\n3. O-O exd4+\n")).isTrue();
    assertThat(matches(chess, "1. e4 e9\n2. Nf3 Nc6\n")).isFalse();
    assertThat(matches(chess, "1. e4 e5\n")).isFalse();

    String arithmetic =
        """
        root  ::= (expr "=" ws term "\\n")+
        expr  ::= term ([-+*/] term)*
        term  ::= ident | num | "(" ws expr ")" ws
        ident ::= [a-z] [a-z0-9_]* ws
        num   ::= [0-9]+ ws
        ws    ::= [ \\t\\n]*
        """;
    assertThat(matches(arithmetic, "x +(2*y1)= 7\n")).isTrue();
    assertThat(matches(arithmetic, "x +(2*y1= 7\n")).isFalse();
  }

  @ParameterizedTest
  @MethodSource
  void matchesWhatIsWritten(String grammar, String text) {
    assertThat(matches(grammar, text)).isTrue();
    assertThat(matches(grammar, text + "!")).isFalse();
  }

  static List<Arguments> matchesWhatIsWritten() {
    return List.of(
        Arguments.of("root ::= \"\\x41\\u00e9\\U0001F600\\t\\\"\\\\\"", "Aé😀\t\"\\"),
        Arguments.of("root ::= [^a-c\\]]", "€"),
        Arguments.of("root ::= [^a-c\\]!]{2,3}", "d[x"),
        Arguments.of("root ::= [a-]+", "a-a"),
        Arguments.of("root ::= \"ab\"{2} \"c\"{0,}", "ababccc"),
        Arguments.of("root ::= . .", "😀é"),
        Arguments.of("root::=a-b a_b # behind\r\na-b::=\"x\"?\na_b::=\"y\"", "y"));
  }

  @Test
  void rulesGoOnOverLinesWhereTheyMay() {
    String grammar =
        "root ::= (\n  \"a\"\n  \"b\"\n) |\n  \"c\" # or\n  | \"d\"\n\nother ::= \"e\"";

    assertThat(matches(grammar, "ab")).isTrue();
    assertThat(matches(grammar, "c")).isTrue();
    assertThat(matches(grammar, "d")).isTrue();
    assertThat(matches(grammar, "e")).isFalse();
  }

  private static void refused(String grammar, String message) {
    assertThatThrownBy(() -> Language.of(new Constraint.Grammar(grammar)))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining(message);
  }

  @Test
  void errorsSayWhere() {
    refused("root ::= \"a\n\"", "line 1, column 10: what begins here has no end on its line");
    refused("root ::= a\n  b ::= \"x\"", "line 1, column 10: no rule is named 'a'");
    refused("root ::= \"x\"\n\nroot ::= \"y\"", "line 3, column 1: rule 'root' is there twice");
    refused("a ::= \"x\"", "no rule is named 'root'");
    refused("root ::= (\"x\"", "line 1, column 10: this '(' has no ')'");
    refused("root ::= \"x\"{3,2}", "line 1, column 13: a count is");
    refused("root ::= \"x\"{99999999999}", "a count is");
    refused("root ::= [z-a]", "a range has its smaller character first");
    refused("root ::= \"\\q\"", "line 1, column 11: no character is escaped so");
    refused("root ::= \"\\uD800\"", "is no character");
    refused("root = \"x\"", "line 1, column 6: '::=' must follow");
    refused("root ::= \"x\" )", "line 1, column 14: ')' cannot stand here");
    refused("root ::= " + "(".repeat(100_000), "more than 500 deep");
    refused("root ::= \"x\" | root \"y\"", "root: begins with itself");
    refused("root ::= \"x\" root", "No text is as the constraint wants it");
    refused("root ::= []", "No text is as the constraint wants it");
    refused("", "no rule is named 'root'");
  }
}
