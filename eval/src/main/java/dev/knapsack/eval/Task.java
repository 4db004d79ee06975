package dev.knapsack.eval;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/**
 * A kind of question that is made, for any model: of those that RULER asks (Hsieh et al., arXiv
 * 2404.06654), in words of this project. A text of any length is made around what is asked for; an
 * answer is right if it contains each word that is wanted, as RULER has it.
 */
public enum Task {
  /** One fact among sentences that say nothing: at a depth of 10, 30, 50, 70 or 90 percent. */
  NEEDLE {
    @Override
    Made make(Random random, int number, int tokens, ToIntFunction<String> length) {
      int depth = DEPTHS.get(number % DEPTHS.size());
      String place = one(random, PLACES);
      String code = code(random);
      String fact = "The code of the %s is %s.".formatted(place, code);
      List<String> sentences = filler(random, tokens - length.applyAsInt(fact), length);
      sentences.add(sentences.size() * depth / 100, fact);
      return new Made(sentences, "What is the code of the %s?".formatted(place), code, depth);
    }
  },

  /** A value that is handed from variable to variable: which of them have it? */
  VARIABLES {
    @Override
    Made make(Random random, int number, int tokens, ToIntFunction<String> length) {
      List<String> names = distinct(random, HOPS + 1, Task::variable);
      String value = code(random);
      List<String> chain =
          new ArrayList<>(List.of("VAR %s = %s.".formatted(names.getFirst(), value)));
      for (int i = 1; i < names.size(); i++) {
        chain.add("VAR %s = VAR %s.".formatted(names.get(i), names.get(i - 1)));
      }
      int taken = chain.stream().mapToInt(length).sum();
      List<String> sentences = filler(random, tokens - taken, length);
      // In their order, anywhere.
      int[] places = random.ints(chain.size(), 0, sentences.size() + 1).sorted().toArray();
      for (int i = chain.size() - 1; i >= 0; i--) {
        sentences.add(places[i], chain.get(i));
      }
      String question = "Which variables have the value %s? Name all of them.".formatted(value);
      return new Made(sentences, question, String.join(" ", names), -1);
    }
  },

  /** Many names with a number each: which is that of one? */
  RECALL {
    @Override
    Made make(Random random, int number, int tokens, ToIntFunction<String> length) {
      List<String> sentences = new ArrayList<>();
      Set<String> names = new LinkedHashSet<>();
      List<String> codes = new ArrayList<>();
      for (int left = tokens; left > 0; ) {
        String name = invented(random);
        if (names.add(name)) {
          codes.add(code(random));
          sentences.add("%s's number is %s.".formatted(name, codes.getLast()));
          left -= length.applyAsInt(sentences.getLast());
        }
      }
      int asked = random.nextInt(names.size());
      String name = List.copyOf(new ArrayList<>(names)).get(asked);
      return new Made(
          sentences,
          "What is %s's number?".formatted(name),
          codes.get(asked),
          DEPTHS.get(DEPTHS.size() * asked / names.size()));
    }
  },

  /** Made-up words, some of them often: which three are the most frequent? */
  WORDS {
    @Override
    Made make(Random random, int number, int tokens, ToIntFunction<String> length) {
      List<String> words = distinct(random, WORD_COUNT, r -> invented(r).toLowerCase(Locale.ROOT));
      int[] lengths = words.stream().mapToInt(length).toArray();
      // The second comes a quarter as often as the first, the third a ninth.
      int most = Math.max(12, tokens);
      while (most > 12 && taken(lengths, most) > tokens) {
        most--;
      }
      List<String> text = new ArrayList<>();
      for (int i = 0; i < words.size(); i++) {
        text.addAll(Collections.nCopies(times(most, i), words.get(i)));
      }
      Collections.shuffle(text, random);
      String answer = String.join(" ", words.subList(0, 3));
      return new Made(text, "Which three words are the most frequent?", answer, -1);
    }
  };

  /**
   * A question that was made.
   *
   * @param sentences the text
   * @param question asked after it
   * @param answer the words that an answer must contain
   * @param depth of what is asked for, in percent; -1 where it is in several places
   */
  record Made(List<String> sentences, String question, String answer, int depth) {
    String text() {
      return String.join(" ", sentences);
    }
  }

  private static final List<Integer> DEPTHS = List.of(10, 30, 50, 70, 90);
  private static final int HOPS = 4;
  private static final int WORD_COUNT = 24;

  private static final List<String> PLACES =
      List.of(
          "tower", "garage", "cellar", "library", "pantry", "kitchen", "garden", "school",
          "theatre", "attic", "office", "chapel", "market", "station", "harbour", "museum");
  private static final List<String> WEATHERS =
      List.of("calm", "sunny", "warm", "windy", "foggy", "cold", "rainy", "cloudy");
  private static final List<String> TIMES =
      List.of("day", "night", "summer", "winter", "afternoon", "morning", "week", "evening");
  private static final List<String> MOODS =
      List.of("young", "tired", "brave", "gentle", "lazy", "small", "old", "quiet");
  private static final List<String> ANIMALS =
      List.of("goat", "cow", "dog", "squirrel", "cat", "horse", "duck", "sheep", "fox", "owl");
  private static final List<String> DEEDS =
      List.of("sat", "walked", "rested", "danced", "slept", "waited", "ran", "sang");
  private static final List<String> SPOTS =
      List.of(
          "near the road",
          "behind the fence",
          "on the hill",
          "across the bridge",
          "before dinner",
          "under the tree",
          "beside the river",
          "in the grass");
  private static final List<String> SYLLABLES =
      List.of(
          "ba", "do", "fe", "ga", "ki", "la", "mo", "ne", "pa", "ro", "sa", "se", "ti", "vu", "wo",
          "zi");

  /**
   * Makes a question.
   *
   * @param number of the question, from 0 on
   * @param tokens that the text may have, about
   * @param length tokens of a sentence
   */
  abstract Made make(Random random, int number, int tokens, ToIntFunction<String> length);

  /** The number of times that a word comes if the first comes {@code most} times. */
  private static int times(int most, int word) {
    return Math.max(1, most / ((word + 1) * (word + 1)));
  }

  private static int taken(int[] lengths, int most) {
    return IntStream.range(0, lengths.length).map(i -> lengths[i] * times(most, i)).sum();
  }

  private static List<String> filler(Random random, int tokens, ToIntFunction<String> length) {
    List<String> sentences = new ArrayList<>();
    for (int left = tokens; left > 0; left -= length.applyAsInt(sentences.getLast())) {
      sentences.add(
          random.nextBoolean()
              ? "It was a %s %s.".formatted(one(random, WEATHERS), one(random, TIMES))
              : "The %s %s %s %s."
                  .formatted(
                      one(random, MOODS),
                      one(random, ANIMALS),
                      one(random, DEEDS),
                      one(random, SPOTS)));
    }
    return sentences;
  }

  private static String one(Random random, List<String> of) {
    return of.get(random.nextInt(of.size()));
  }

  private static String code(Random random) {
    return Integer.toString(1000 + random.nextInt(9000));
  }

  /** A name that nobody has. */
  private static String invented(Random random) {
    String name = one(random, SYLLABLES) + one(random, SYLLABLES) + one(random, SYLLABLES);
    return Character.toUpperCase(name.charAt(0)) + name.substring(1);
  }

  private static String variable(Random random) {
    return random
        .ints(5, 'A', 'Z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  private interface Maker {
    String make(Random random);
  }

  private static List<String> distinct(Random random, int count, Maker maker) {
    Set<String> made = new LinkedHashSet<>();
    while (made.size() < count) {
      made.add(maker.make(random));
    }
    return List.copyOf(new ArrayList<>(made));
  }
}
