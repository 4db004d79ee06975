package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.tensor.UnsupportedFormatException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A recipe as text: each part by its name and that of what it is, {@code score=streaming(4)
 * budget=uniform(1024) action=evict when=block(64)}, in any order; or a published method by name,
 * {@code streaming(4,1020)}.
 */
final class RecipeText {
  private static final String FORM = "score=… budget=… action=… when=…";

  /** A word, and perhaps numbers: {@code streaming(4,1020)}, {@code streaming(sinks=4)}. */
  private static final String TERM = "([a-z]\\w*)\\s*(?:\\(([^()]*)\\))?";

  private static final Pattern METHOD = Pattern.compile(TERM);
  private static final Pattern PART = Pattern.compile("([a-z]\\w*)\\s*=\\s*" + TERM + "[\\s,]*");
  private static final Pattern NUMBER = Pattern.compile("(?:([a-z]\\w*)\\s*=\\s*)?(\\d{1,9})");

  /**
   * Something that can be asked for.
   *
   * @param numbers what its numbers are called
   * @param make of its numbers
   * @param read of what is between its brackets, where that is no numbers
   */
  private record Term<T>(
      String name,
      List<String> numbers,
      Function<int[], T> make,
      @Nullable Function<String, T> read) {
    Term(String name, List<String> numbers, Function<int[], T> make) {
      this(name, numbers, make, null);
    }

    String form() {
      return numbers.isEmpty()
          ? name
          : name + "(" + String.join(",", numbers).toUpperCase(Locale.ROOT) + ")";
    }
  }

  /** What a part was said to be, and what was between its brackets. */
  private record Given(String name, String numbers) {}

  /** Tokens that a method keeps if nothing else is said. */
  private static final int TOKENS = 1024;

  private static final Term<Recipe> STREAMING =
      new Term<>("streaming", List.of("sinks", "recent"), n -> Recipe.streaming(n[0], n[1]));

  private static final List<Term<Recipe>> METHODS =
      List.of(
          STREAMING,
          new Term<>("knorm", List.of("tokens"), n -> Recipe.knorm(n[0])),
          new Term<>("keydiff", List.of("tokens"), n -> Recipe.keydiff(n[0])),
          new Term<>("lagkv", List.of("tokens"), n -> Recipe.lagkv(n[0])),
          new Term<>("h2o", List.of("tokens"), n -> Recipe.h2o(n[0])),
          new Term<>("snapkv", List.of("tokens"), n -> Recipe.snapkv(n[0])),
          new Term<>("pyramidkv", List.of("tokens"), n -> Recipe.pyramidkv(n[0])),
          new Term<>("adakv", List.of("tokens"), n -> Recipe.adakv(n[0])));

  private static final List<Term<Scorer>> SCORERS =
      List.of(
          new Term<>("streaming", List.of("sinks"), n -> new Scorer.Streaming(n[0])),
          new Term<>("knorm", List.of(), _ -> new KeyNorm()),
          new Term<>("keydiff", List.of(), _ -> new KeyDifference()),
          new Term<>("lagkv", List.of(), _ -> new LagRelative()),
          new Term<>("h2o", List.of("recent"), n -> new HeavyHitters(n[0])),
          new Term<>("window", List.of("rows"), n -> new ObservationWindow(n[0])));

  private static final List<Term<Allocator>> ALLOCATORS =
      List.of(
          new Term<>("uniform", List.of("tokens"), n -> new Allocator.Uniform(n[0])),
          new Term<>("share", List.of("percent"), n -> new PromptShare(n[0])),
          new Term<>("pyramid", List.of("tokens", "window"), n -> new Pyramid(n[0], n[1])),
          new Term<>("ada", List.of("tokens"), n -> new Adaptive(n[0])));

  private static final List<Term<Action>> ACTIONS =
      List.of(
          new Term<>("evict", List.of(), _ -> Action.EVICT),
          new Term<>("quantise", List.of("format"), _ -> Action.EVICT, RecipeText::quantise));

  private static final List<Term<Trigger>> TRIGGERS =
      List.of(
          new Term<>("block", List.of("tokens"), n -> new Trigger.Block(n[0])),
          new Term<>("prompt", List.of(), _ -> new Trigger.Prompt()),
          new Term<>("step", List.of(), _ -> new Trigger.Step()));

  private final String text;
  private final Map<String, Given> parts = new HashMap<>();

  private RecipeText(String text) {
    this.text = text;
  }

  /**
   * The recipe of this text.
   *
   * @throws IllegalArgumentException if it is none
   */
  static Recipe read(String text) {
    String plain = text.strip().toLowerCase(Locale.ROOT);
    RecipeText read = new RecipeText(text.strip());
    Matcher method = METHOD.matcher(plain);
    return method.matches() ? read.method(method) : read.written(plain);
  }

  private Recipe method(Matcher method) {
    for (Term<Recipe> known : METHODS) {
      if (known.name().equals(method.group(1))) {
        return make(
            known.make(),
            method.group(2) == null ? usual(known) : numbers("recipe", known, method.group(2)));
      }
    }
    throw new IllegalArgumentException(
        "There is no KV recipe '%s'. There are: %s."
            .formatted(text, String.join(", ", Recipe.NAMES)));
  }

  private static int[] usual(Term<Recipe> method) {
    return method.equals(STREAMING) ? new int[] {4, TOKENS - 4} : new int[] {TOKENS};
  }

  private Recipe written(String plain) {
    Matcher part = PART.matcher(plain);
    int at = 0;
    while (at < plain.length() && part.region(at, plain.length()).lookingAt()) {
      String key = part.group(1);
      String in = part.group(3) == null ? "" : part.group(3);
      if (parts.put(key, new Given(part.group(2), in)) != null) {
        throw new IllegalArgumentException(
            "The KV recipe '%s' says %s twice.".formatted(text, key));
      }
      at = part.end();
    }
    if (parts.isEmpty()) {
      throw new IllegalArgumentException(
          "There is no KV recipe '%s'. There are: %s."
              .formatted(text, String.join(", ", Recipe.NAMES)));
    }
    if (at < plain.length()) {
      throw new IllegalArgumentException(
          "There is no KV recipe '%s': it cannot be read from '%s' on. There are: %s."
              .formatted(text, plain.substring(at), String.join(", ", Recipe.NAMES)));
    }
    Recipe recipe =
        new Recipe(
            part("score", SCORERS),
            part("budget", ALLOCATORS),
            part("action", ACTIONS),
            part("when", TRIGGERS));
    if (!parts.isEmpty()) {
      throw new IllegalArgumentException(
          "A KV recipe has no part %s, as in '%s'; it is written %s."
              .formatted(
                  String.join(" or ", parts.keySet().stream().sorted().toList()), text, FORM));
    }
    return recipe;
  }

  private <T> T part(String key, List<Term<T>> known) {
    String there = known.stream().map(Term::form).collect(Collectors.joining(", "));
    Given given = parts.remove(key);
    if (given == null) {
      throw new IllegalArgumentException(
          "The KV recipe '%s' lacks %s=…; there is: %s. It is written %s."
              .formatted(text, key, there, FORM));
    }
    for (Term<T> term : known) {
      if (term.name().equals(given.name())) {
        Function<String, T> read = term.read();
        return read != null
            ? make(read, given.numbers())
            : make(term.make(), numbers(key, term, given.numbers()));
      }
    }
    throw new IllegalArgumentException(
        "There is no %s=%s for the KV recipe '%s'; there is: %s."
            .formatted(key, given.name(), text, there));
  }

  private int[] numbers(String key, Term<?> term, String in) {
    List<Integer> numbers = new ArrayList<>();
    String[] items = in.isBlank() ? new String[0] : in.split(",", -1);
    for (int i = 0; i < items.length; i++) {
      Matcher number = NUMBER.matcher(items[i].strip());
      if (i >= term.numbers().size()
          || !number.matches()
          || (number.group(1) != null && !number.group(1).equals(term.numbers().get(i)))) {
        numbers.clear();
        break;
      }
      numbers.add(Integer.parseInt(number.group(2)));
    }
    if (numbers.size() != term.numbers().size() || items.length != numbers.size()) {
      throw new IllegalArgumentException(
          "The %s of the KV recipe '%s' is written %s, with whole numbers of at most 9 digits."
              .formatted(key, text, term.form()));
    }
    return numbers.stream().mapToInt(n -> n).toArray();
  }

  private <A, T> T make(Function<A, T> part, A given) {
    try {
      return part.apply(given);
    } catch (IllegalArgumentException | UnsupportedFormatException e) {
      throw new IllegalArgumentException(
          "The KV recipe '%s': %s.".formatted(text, e.getMessage()), e);
    }
  }

  private static Action quantise(String formats) {
    KvFormat format = KvFormat.parse(formats);
    if (format.sketch() > 0) {
      throw new IllegalArgumentException("tokens that are not sketched cannot become so later");
    }
    return new Action.Quantise(new KvPolicy.Coarse(format.keys(), format.values()));
  }
}
