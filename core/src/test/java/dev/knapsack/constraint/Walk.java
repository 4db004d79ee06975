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

  /** What ends what has been begun, and what goes on with something short. */
  private static final char[] CLOSING = "}]\"0159:,.-eZnullue".toCharArray();

  private static final String USUAL = "abcxyz019-._ \"\\,}]{[:é€😀\n\tT@/";

  private Walk() {}

  static boolean accepts(Term term, String text) {
    return after(term, text.getBytes(StandardCharsets.UTF_8)).nullable();
  }

  static Optional<String> through(Term term, Random random) {
    return through(term, random, List.of());
  }

  private static Term after(Term term, byte[] text) {
    Term left = term;
    for (byte one : text) {
      left = left.derive(one & 0xFF);
    }
    return left;
  }

  /**
   * A text of a term that has some; empty if it became too long.
   *
   * @param names of members that are written where they may be, to come to an end
   */
  static Optional<String> through(Term term, Random random, List<String> names) {
    List<byte[]> members =
        names.stream()
            .map(name -> ("\"" + JsonText.content(name) + "\":").getBytes(StandardCharsets.UTF_8))
            .toList();
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Term left = term;
    while (text.size() < LONGEST) {
      boolean ending = text.size() > LONG;
      if (left.nullable() && (ending || random.nextInt(8) == 0)) {
        return Optional.of(text.toString(StandardCharsets.UTF_8));
      }
      Term begun = left;
      boolean open = ending && !left.derive('}').live() && !left.derive(']').live();
      Optional<byte[]> member =
          members.stream()
              .skip(open && !members.isEmpty() ? random.nextInt(members.size()) : members.size())
              .filter(one -> after(begun, one).live())
              .findFirst();
      if (member.isPresent()) {
        text.writeBytes(member.get());
        left = after(left, member.get());
        continue;
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
      for (char one : CLOSING) {
        if (term.derive(one).live()) {
          return one;
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
