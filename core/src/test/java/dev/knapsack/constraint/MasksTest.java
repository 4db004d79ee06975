package dev.knapsack.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.knapsack.TestData;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Constraint;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Rung;
import dev.knapsack.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MasksTest {
  private static final String NESTED =
      """
      root ::= value
      value ::= object | string | [0-9]{1,20} | "[" (value ("," " "? value)*)? "]"
      object ::= "{" (string ": " value ("," [ \\n]* string ": " value)*)? "}"
      string ::= "\\"" ([^"\\\\\\x00-\\x1F] | "\\\\" ["\\\\n]){0,400} "\\""
      """;

  private static final List<Constraint> CONSTRAINTS =
      List.of(
          new Constraint.Grammar(NESTED),
          new Constraint.Grammar("root ::= [a-zé]{3,1000} [ .]* \"end\" \"!\"{300}"),
          // Names that are made up are near to texts of all kinds; texts are counted, or end alike.
          new Constraint.JsonSchema(
              """
              {"properties": {"name": {"type": "string", "minLength": 2, "maxLength": 5},
                              "note": {"type": "string"}, "é\\"": {"type": "integer"}},
               "patternProperties": {"^x": {"type": "boolean"}}}
              """),
          new Constraint.JsonSchema(
              """
              {"type": "array", "minItems": 3, "items":
                {"type": "string", "maxLength": 3, "not": {"enum": ["a", "bc", "The"]}}}
              """),
          new Constraint.JsonSchema("{\"type\": \"string\", \"pattern\": \"^.{3}[a-e]+$\"}"),
          new Constraint.Grammar("root ::= ([^<] | \"<\" [^t])* \"<tool>\""),
          new Constraint.Choice(List.of("yes", "yes, but", "nö", "\u00a0no", "Maybe later today")));

  /** What a mask says, token by token, without any shortcut. */
  private static boolean allowed(Tokenizer tokenizer, Term term, int token, boolean hidden) {
    if (tokenizer.endTokens().contains(token)) {
      return term.nullable();
    }
    byte[] bytes = tokenizer.bytes(token, false);
    if (tokenizer.isControl(token) || bytes.length == 0) {
      return false;
    }
    int from = hidden && bytes[0] == ' ' ? 1 : 0;
    if (hidden && new String(bytes, StandardCharsets.ISO_8859_1).indexOf(' ', 1) > 0) {
      return false;
    }
    Term left = term;
    for (int i = from; i < bytes.length; i++) {
      left = left.derive(bytes[i] & 0xFF);
    }
    return left.live();
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek-llm", "gpt-2", "llama-spm"})
  void masksAreWhatTokensSayOneByOne(String name) {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/" + name + ".gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget budget = Budget.of("64MiB");
      Random random = new Random(7);
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), budget.account("constraint"))) {
        for (Constraint constraint : CONSTRAINTS) {
          walk(tokenizer, masks, Language.of(constraint), random);
        }
        assertThat(budget.account("constraint").used()).isPositive();
      }
      assertThat(budget.account("constraint").used()).isZero();
    }
  }

  /** Goes a way through a language, and looks at all tokens everywhere on it. */
  private static void walk(Tokenizer tokenizer, Masks masks, Language language, Random random) {
    boolean[] hidden = {true};
    Cursor cursor = new Cursor(language, masks, () -> hidden[0]);
    Term term = language.root;
    for (int step = 0; step < 12; step++) {
      long[] mask = cursor.mask();
      List<Integer> possible = new ArrayList<>();
      Cursor alone = step == 0 ? new Cursor(language, masks, () -> hidden[0]) : null;
      for (int token = 0; token < tokenizer.size(); token++) {
        boolean in = Cursor.isIn(mask, token);
        if (in != allowed(tokenizer, term, token, hidden[0])
            || (alone != null && in != alone.allows(token))) {
          fail("token %d '%s' behind %s", token, tokenizer.decode(new int[] {token}, true), term);
        }
        if (in && !tokenizer.endTokens().contains(token)) {
          possible.add(token);
        }
      }
      assertThat(cursor.mayEnd()).isEqualTo(term.nullable());
      if (possible.isEmpty()) {
        assertThat(cursor.mayEnd()).isTrue();
        return;
      }
      int token = possible.get(random.nextInt(possible.size()));
      term = masks.after(term, token, hidden[0]);
      cursor.accept(token);
      hidden[0] = false;
    }
  }

  @Test
  void masksThatWereMadeAreKeptWithinTheBudget() {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/gpt-2.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget roomy = Budget.of("64MiB");
      long tries;
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), roomy.account("constraint"))) {
        tries = roomy.account("constraint").used();
        walk(tokenizer, masks, Language.of(CONSTRAINTS.get(1)), new Random(1));
        assertThat(roomy.account("constraint").used()).isGreaterThan(tries);
      }
      // Without room for masks they are made each time.
      Budget tight = Budget.ofBytes(tries);
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), tight.account("constraint"))) {
        walk(tokenizer, masks, Language.of(CONSTRAINTS.get(1)), new Random(1));
      }
      assertThat(tight.account("constraint").used()).isZero();
    }
  }

  @Test
  void masksAreGivenBackToWhoNeedsTheirMemory() {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/gpt-2.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget budget = Budget.of("16MiB");
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), budget.account("constraint"))) {
        long tries = budget.account("constraint").used();
        walk(tokenizer, masks, Language.of(CONSTRAINTS.get(1)), new Random(1));
        long held = budget.account("constraint").used() - tries;
        assertThat(held).isPositive();
        try (Lease _ = budget.account("other").lease(budget.free() + held)) {
          assertThat(budget.account("constraint").used()).isEqualTo(tries);
          assertThat(budget.givenBack().get(Rung.DROP_MASKS).bytes()).isEqualTo(held);
          // Without room for masks they are made each time.
          walk(tokenizer, masks, Language.of(CONSTRAINTS.get(1)), new Random(1));
        }
        walk(tokenizer, masks, Language.of(CONSTRAINTS.get(1)), new Random(1));
        assertThat(budget.account("constraint").used()).isGreaterThan(tries);
      }
      assertThat(budget.used()).isZero();
    }
  }

  @Test
  void countedStringsShareTheirMasks() {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/gpt-2.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Language language =
          Language.of(new Constraint.Grammar("root ::= [a-z]{1000,2000} [0-9]{1000}"));
      Term one = language.root;
      one = Masks.derived(one, "a".getBytes(StandardCharsets.UTF_8), 0);
      Term other = Masks.derived(one, "abcdefg".repeat(50).getBytes(StandardCharsets.UTF_8), 0);
      Horizon horizon = new Horizon(language.terms, 128);

      assertThat(one).isNotSameAs(other);
      assertThat(horizon.of(one)).isSameAs(horizon.of(other));
    }
  }

  @Test
  void termsOfManyWaysAreCutOnce() {
    Terms terms = new Terms();
    Term term = terms.text("end");
    for (int i = 0; i < 60; i++) {
      term =
          terms.choice(
              terms.sequence(terms.text("ab"), term), terms.sequence(terms.text("cd"), term));
    }
    // There are 2^60 texts, each within what the longest token reaches.
    assertThat(new Horizon(terms, 128).of(term)).isSameAs(term);
  }

  @Test
  void whatIsForcedIsTakenAtOnce() {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/gpt-2.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget budget = Budget.of("64MiB");
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), budget.account("constraint"))) {
        Language language =
            Language.of(new Constraint.Grammar("root ::= \"The answer is therefore: \" [0-9]+"));
        Cursor cursor = new Cursor(language, masks, () -> false);

        int[] forced = cursor.forced();
        assertThat(tokenizer.decode(forced, false)).isEqualTo("The answer is therefore:");
        for (int token : forced) {
          assertThat(cursor.allows(token)).isTrue();
          cursor.accept(token);
        }
        assertThat(cursor.forced()).isEmpty();
      }
    }
  }

  @Test
  void aVocabularyThatLacksAByteFailsAndSaysSo() {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/bert-bge.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Budget budget = Budget.of("64MiB");
      try (Masks masks = new Masks(tokenizer, tokenizer.size(), budget.account("constraint"))) {
        Cursor cursor =
            new Cursor(Language.of(new Constraint.Choice(List.of("\u0001"))), masks, () -> false);

        assertThatThrownBy(cursor::mask)
            .isInstanceOf(ConstraintException.class)
            .hasMessageContaining("byte 0x01");
      }
    }
  }
}
