package dev.knapsack.constraint;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/** Texts of a term, as the worst of models would write them. */
final class Walk {
  /** Bytes after which a walk makes for the end. */
  private static final int LONG = 60;

  private static final int LONGEST = 6_000;

  /** What ends most of what has been begun. */
  private static final String CLOSING = "\"}]0159:,.-eZnullue";

  private static final String USUAL = "abcxyz019-._ \"\\,}]{[:é€😀\n\tT@/";

  private Walk() {}

  static boolean accepts(Term term, String text) {
    Term left = term;
    for (byte one : text.getBytes(StandardCharsets.UTF_8)) {
      left = left.derive(one & 0xFF);
    }
    return left.nullable();
  }

  /** A text of a term that has some; empty if it became too long. */
  static Optional<String> through(Term term, Random random) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Term left = term;
    while (text.size() < LONGEST) {
      boolean ending = text.size() > LONG;
      if (left.nullable() && (ending || random.nextInt(8) == 0)) {
        return Optional.of(text.toString(StandardCharsets.UTF_8));
      }
      int next = next(left, random, ending);
      if (next < 0) {
        if (!left.nullable()) {
          throw new AssertionError("A dead end after " + text.toString(StandardCharsets.UTF_8));
        }
        return Optional.of(text.toString(StandardCharsets.UTF_8));
      }
      text.write(next);
      left = left.derive(next);
    }
    return Optional.empty();
  }

  private static int next(Term term, Random random, boolean ending) {
    if (ending && random.nextInt(4) > 0) {
      for (int i = 0; i < CLOSING.length(); i++) {
        if (term.derive(CLOSING.charAt(i)).live()) {
          return CLOSING.charAt(i);
        }
      }
    }
    byte[] usual = USUAL.getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 6; i++) {
      int one = usual[random.nextInt(usual.length)] & 0xFF;
      if (term.derive(one).live()) {
        return one;
      }
    }
    List<Integer> possible = new ArrayList<>();
    for (int one = 0; one < 256; one++) {
      if (term.derive(one).live()) {
        possible.add(one);
      }
    }
    return possible.isEmpty() ? -1 : possible.get(random.nextInt(possible.size()));
  }
}
