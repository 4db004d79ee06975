package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StopStringsTest {
  /** The definition, on the whole text: the match that is complete first, the longest of those. */
  private static String naive(String text, List<String> stops) {
    for (int end = 0; end <= text.length(); end++) {
      int start = -1;
      for (String stop : stops) {
        if (text.substring(0, end).endsWith(stop) && (start < 0 || end - stop.length() < start)) {
          start = end - stop.length();
        }
      }
      if (start >= 0) {
        return text.substring(0, start);
      }
    }
    return text;
  }

  @Test
  void cutsWhereTheDefinitionCutsHoweverTheTextIsSplit() {
    SplittableRandom random = new SplittableRandom(11);
    int stopped = 0;
    for (int round = 0; round < 20_000; round++) {
      String text = word(random, random.nextInt(0, 24));
      List<String> stops = new ArrayList<>();
      for (int i = random.nextInt(0, 4); i > 0; i--) {
        stops.add(word(random, random.nextInt(1, 6)));
      }
      String expected = naive(text, stops);
      StopStrings stream = new StopStrings(stops);
      StringBuilder out = new StringBuilder();
      for (int at = 0; at < text.length() && !stream.isFound(); ) {
        int next = Math.min(text.length(), at + random.nextInt(0, 6));
        out.append(stream.next(text.substring(at, next)));
        at = next;
        // Nothing is shown that would have to be taken back, and no more is held than may be one.
        assertThat(expected).startsWith(out.toString());
        int longest = stops.stream().mapToInt(String::length).max().orElse(0);
        if (!stream.isFound()) {
          assertThat(at - out.length()).isLessThanOrEqualTo(Math.max(0, longest - 1));
        }
      }
      out.append(stream.finish());
      assertThat(out.toString()).as("%s in %s", stops, text).isEqualTo(expected);
      assertThat(stream.isFound()).isEqualTo(!expected.equals(text));
      if (stream.isFound()) {
        assertThat(stops).contains(stream.found());
        assertThat(text).startsWith(expected + stream.found());
        stopped++;
      }
    }
    assertThat(stopped).isBetween(5_000, 19_000);
  }

  @Test
  void releasesAtOnceWhatCannotBecomeAStopString() {
    StopStrings stream = new StopStrings(List.of("\nUser:"));
    assertThat(stream.next("Hello.\n")).isEqualTo("Hello.");
    assertThat(stream.next("Us")).isEmpty();
    assertThat(stream.next("eful")).isEqualTo("\nUseful");
    assertThat(stream.next("\nUser: hi")).isEmpty();
    assertThat(stream.found()).isEqualTo("\nUser:");
    assertThat(stream.next("more")).isEmpty();
    assertThat(stream.finish()).isEmpty();
  }

  private static String word(SplittableRandom random, int length) {
    StringBuilder word = new StringBuilder();
    for (int i = 0; i < length; i++) {
      word.append((char) ('a' + random.nextInt(2)));
    }
    return word.toString();
  }
}
