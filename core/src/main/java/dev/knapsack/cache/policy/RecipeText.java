package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.Term.decimal;
import static dev.knapsack.cache.policy.Term.number;
import static dev.knapsack.cache.policy.Term.percent;
import static dev.knapsack.cache.policy.Term.size;
import static dev.knapsack.cache.policy.Term.text;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.policy.Method.Measured;
import dev.knapsack.error.UnsupportedFormatException;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A recipe as text: each part by its name and that of what it is, {@code score=streaming(4)
 * budget=uniform(1024) action=evict when=block(64)}, in any order; or a published method by name,
 * {@code snapkv(1024)}.
 */
final class RecipeText {
  private static final String FORM = "score=… budget=… action=… when=…";

  /**
   * A word, and perhaps what is between brackets: {@code snapkv(1024)}, {@code block(tokens=64)}.
   */
  private static final String TERM = "([A-Za-z][\\w-]*)\\s*(?:\\(([^()]*)\\))?";

  private static final Pattern METHOD = Pattern.compile(TERM);
  private static final Pattern PART = Pattern.compile("([A-Za-z]\\w*)\\s*=\\s*" + TERM + "[\\s,]*");

  /** A part as it was said to be, and what was between its brackets. */
  private record Given(String name, String in) {}

  /** Bounded while a prompt is read, too: a page's tokens, since evicting has a price for each. */
  private static final String IN_BLOCKS = " action=evict when=block(64)";

  /** Forgets once, as published. */
  private static final String AFTER_PROMPT = " action=evict when=prompt";

  /** All but the last tokens, while the prompt is read, too. */
  private static final String REDUCED =
      "score=streaming(0) budget=uniform(32) action=lowrank(FORMAT) when=block(8)";

  /**
   * The published methods; what each does differently from its paper is said where its parts are.
   */
  static final List<Method> METHODS =
      List.of(
          new Method(
              "streaming",
              "first and last tokens alone",
              "Xiao et al. 2023 (StreamingLLM)",
              Measured.quarter(14),
              "SINKS=4,RECENT=1020",
              "score=streaming(SINKS) budget=uniform(SINKS+RECENT)" + IN_BLOCKS),
          new Method(
              "streaming",
              "as many of these, 4 of them first",
              "Xiao et al. 2023 (StreamingLLM)",
              Measured.quarter(14),
              "TOKENS=1024",
              "score=streaming(4) budget=uniform(TOKENS)" + IN_BLOCKS),
          new Method(
              "knorm",
              "the shortest keys",
              "Devoto et al. 2024",
              Measured.quarter(6),
              "TOKENS=1024",
              "score=knorm budget=uniform(TOKENS)" + IN_BLOCKS),
          new Method(
              "keydiff",
              "keys that point elsewhere than most",
              "Park et al. 2025 (KeyDiff)",
              Measured.quarter(25),
              "TOKENS=1024",
              "score=keydiff budget=uniform(TOKENS)" + IN_BLOCKS),
          new Method(
              "lagkv",
              "tokens unlike the chunk that follows",
              "Liang et al. 2025 (LagKV)",
              Measured.quarter(14),
              "TOKENS=1024",
              "score=lagkv budget=uniform(TOKENS)" + IN_BLOCKS),
          new Method(
              "h2o",
              "heavy hitters and the last tokens",
              "Zhang et al. 2023 (H2O)",
              Measured.quarter(11),
              "TOKENS=1024",
              "score=h2o(TOKENS/2) budget=uniform(TOKENS)" + IN_BLOCKS),
          new Method(
              "scissorhands",
              "tokens that rows look at more than evenly",
              "Liu et al. 2023 (Scissorhands)",
              Measured.quarter(12),
              "TOKENS=1024",
              "score=pivotal(400,10) budget=uniform(TOKENS) action=evict when=half"),
          new Method(
              "snapkv",
              "what the prompt's last 32 rows look at",
              "Li et al. 2024 (SnapKV)",
              Measured.quarter(12),
              "TOKENS=1024",
              "score=window(32) budget=uniform(TOKENS)" + AFTER_PROMPT),
          new Method(
              "dapq",
              "what rows after the prompt's end look at",
              "DapQ (from its abstract)",
              Measured.quarter(12),
              "TOKENS=1024",
              "score=ahead(32) budget=uniform(TOKENS)" + AFTER_PROMPT),
          new Method(
              "pyramidkv",
              "more tokens in the first layers",
              "Cai et al. 2024 (PyramidKV)",
              Measured.quarter(8),
              "TOKENS=1024",
              "score=window(32) budget=pyramid(TOKENS,32)" + AFTER_PROMPT),
          new Method(
              "expected",
              "tokens that queries to come will look at",
              "Devoto et al. 2025 (Expected Attention)",
              Measured.quarter(10),
              "TOKENS=1024",
              "score=expected budget=uniform(TOKENS)" + AFTER_PROMPT),
          new Method(
              "criticalkv",
              "tokens without which attention's result would change",
              "Feng et al. 2025 (CriticalKV)",
              Measured.quarter(12),
              "TOKENS=1024",
              "score=critical(32) budget=uniform(TOKENS)" + AFTER_PROMPT),
          new Method(
              "trim-kv",
              "tokens for as long as a learned gate says",
              "Bui et al. 2025 (TRIM-KV)",
              Measured.NOT,
              "TOKENS=1024",
              "score=retention budget=uniform(TOKENS) action=evict when=block(128)"),
          new Method(
              "elastic",
              "tokens into which the nearest that go are merged",
              "Liu et al. 2024 (Elastic Cache)",
              Measured.quarter(7),
              "TOKENS=1024",
              "score=elastic(4,25) budget=uniform(TOKENS) action=nearest when=step"),
          new Method(
              "kvmerger",
              "one token of those in a row with like keys",
              "Wang et al. 2024 (KVMerger)",
              Measured.quarter(13),
              "TOKENS=1024",
              "score=h2o(TOKENS/4) budget=uniform(TOKENS) action=runs(0.75) when=block(64)"),
          new Method(
              "cake",
              "more tokens in layers that look at many",
              "Qin et al. 2025 (CAKE)",
              Measured.quarter(9),
              "TOKENS=1024",
              "score=varied(32,200) budget=cake(TOKENS,32,1.6,0.4)" + AFTER_PROMPT),
          new Method(
              "arkv",
              "tokens in full, in 8 bits, or not, by layer",
              "Lei, Ilager 2026 (ARKV, arXiv 2603.08727)",
              Measured.quarter(14),
              "TOKENS=1024",
              "score=varied(32,200) budget=arkv(TOKENS,32,7.77,5.41,5.53)"
                  + " action=tiers(f8_e4m3) when=block(64)"),
          new Method(
              "adakv",
              "more tokens in heads that spread their attention",
              "Feng et al. 2024 (AdaKV)",
              Measured.quarter(13),
              "TOKENS=1024",
              "score=window(32) budget=ada(TOKENS)" + AFTER_PROMPT),
          new Method(
              "sentencekv",
              "sentences, which come back from disk",
              "Zhu et al. 2025 (SentenceKV, arXiv 2504.00970)",
              Measured.quarter(30),
              "TOKENS=1024",
              "score=window(32) budget=uniform(TOKENS) action=sentences(5) when=prompt"),
          new Method(
              "icecache",
              "pages of similar keys, which come back from disk",
              "IceCache (ICLR 2026 submission; from its abstract)",
              Measured.quarter(33),
              "TOKENS=256",
              "score=streaming(4) budget=uniform(TOKENS) action=similar(16) when=prompt"),
          new Method(
              "think",
              "keys without the channels that say least",
              "Xu et al. 2024 (ThinK)",
              new Measured(82, 37),
              "PERCENT=40",
              "score=streaming(0) budget=uniform(32) action=shrink(PERCENT) when=step"),
          new Method(
              "cskv",
              "keys and values in fewer numbers",
              "after Wang et al. 2024 (CSKV, arXiv 2409.10593)",
              new Measured(56, 35),
              "PERCENT=25",
              REDUCED.replace("FORMAT", "PERCENT,PERCENT")),
          new Method(
              "cskv",
              "these in a format of fewer bits",
              "after Wang et al. 2024 (CSKV, arXiv 2409.10593)",
              Measured.NOT,
              "PERCENT=25,FORMAT=q4_0",
              REDUCED.replace("FORMAT", "PERCENT,PERCENT,FORMAT")),
          new Method(
              "duo",
              "all tokens in heads that look far",
              "Xiao et al. 2024 (DuoAttention)",
              Measured.quarter(29),
              "TOKENS=1024",
              "score=streaming(4) budget=duo(TOKENS,TOKENS/8)" + IN_BLOCKS),
          new Method(
              "compresskv",
              "what the heads that retrieve look at",
              "Lin et al. 2025 (CompressKV)",
              Measured.quarter(8),
              "TOKENS=1024",
              "score=retrieval(4,8) budget=errors(TOKENS)" + AFTER_PROMPT),
          new Method(
              "epicache",
              "a cache for each topic of a long text",
              "Kim et al. 2025 (EpiCache, arXiv 2509.17396)",
              Measured.quarter(16),
              "TOKENS=1024",
              "score=patch(64) budget=sensitivity(TOKENS) action=evict when=prompt(256)"),
          new Method(
              "hack",
              "few tokens in structural heads",
              "after Qin et al. 2025 (HACK)",
              Measured.quarter(22),
              "TOKENS=1024",
              "score=hack(32) budget=hack(TOKENS)" + AFTER_PROMPT),
          new Method(
              "scalekv",
              "few tokens in layers that look near",
              "after Li et al. 2025 (ScaleKV)",
              Measured.quarter(14),
              "TOKENS=1024",
              "score=scale(32) budget=scale(TOKENS)" + AFTER_PROMPT));

  private static final List<Term<Scorer>> SCORERS =
      List.of(
          new Term<>("streaming", List.of(number("sinks")), a -> new Scorer.Streaming(a.number(0))),
          new Term<>("knorm", new KeyNorm()),
          new Term<>("keydiff", new KeyDifference()),
          new Term<>("lagkv", new LagRelative()),
          new Term<>("h2o", List.of(size("recent")), a -> new HeavyHitters(a.size(0))),
          new Term<>("retention", new Retention(null)),
          new Term<>("expected", new ExpectedAttention()),
          new Term<>(
              "critical",
              List.of(number("rows")),
              a -> new CriticalTokens(new ObservationWindow(a.number(0)))),
          new Term<>(
              "pivotal",
              List.of(number("rows"), number("recent")),
              a -> new Pivotal(a.number(0), a.number(1))),
          new Term<>(
              "elastic",
              List.of(number("sinks"), number("distance")),
              a -> new PromptAttention(a.number(0), a.number(1))),
          new Term<>(
              "varied",
              List.of(number("rows"), number("gamma")),
              a -> new Varied(a.number(0), a.number(1))),
          new Term<>("ahead", List.of(number("rows")), a -> new PseudoQueries(a.number(0), false)),
          new Term<>("patch", List.of(number("rows")), a -> new PseudoQueries(a.number(0), true)),
          new Term<>("window", List.of(number("rows")), a -> new ObservationWindow(a.number(0))),
          new Term<>(
              "retrieval",
              List.of(number("heads"), number("rows")),
              a -> new RetrievalHeads(a.number(0), a.number(1), null)),
          new Term<>(
              "hack",
              List.of(number("rows")),
              a -> new ClassScorer(Classes.HACK, a.number(0), null)),
          new Term<>(
              "scale",
              List.of(number("rows")),
              a -> new ClassScorer(Classes.SCALE, a.number(0), null)));

  private static final List<Term<Allocator>> ALLOCATORS =
      List.of(
          new Term<>("uniform", List.of(size("tokens")), a -> new Allocator.Uniform(a.size(0))),
          new Term<>(
              "pyramid",
              List.of(size("tokens"), number("window")),
              a -> new Pyramid(a.size(0), a.number(1))),
          new Term<>(
              "cake",
              List.of(size("tokens"), number("window"), decimal("t1"), decimal("t2")),
              a -> new LayerPreference(a.size(0), a.number(1), a.decimal(2), a.decimal(3))),
          new Term<>(
              "arkv",
              List.of(
                  size("tokens"), number("window"), decimal("t1"), decimal("t2"), decimal("t3")),
              a -> new FullShare(a.size(0), a.number(1), a.decimal(2), a.decimal(3), a.decimal(4))),
          new Term<>("ada", List.of(size("tokens")), a -> new Adaptive(a.size(0))),
          new Term<>(
              "duo",
              List.of(size("tokens"), size("others")),
              a -> new RetrievalBudget(a.size(0), a.size(1), null)),
          new Term<>(
              "heads",
              List.of(number("percent"), size("others")),
              a -> new RetrievalShare(a.number(0), a.size(1), null)),
          new Term<>("errors", List.of(size("tokens")), a -> new LayerErrors(a.size(0), null)),
          new Term<>(
              "sensitivity", List.of(size("tokens")), a -> new LayerSensitivity(a.size(0), null)),
          new Term<>(
              "hack", List.of(size("tokens")), a -> new ClassSizes(Classes.HACK, a.size(0), null)),
          new Term<>(
              "scale",
              List.of(size("tokens")),
              a -> new ClassSizes(Classes.SCALE, a.size(0), null)));

  private static final List<Term<Action>> ACTIONS =
      List.of(
          new Term<>("evict", Action.EVICT),
          new Term<>("sentences", List.of(number("factor")), a -> new Sentences(a.number(0))),
          new Term<>("similar", List.of(number("tokens")), a -> new SimilarKeys(a.number(0))),
          new Term<>("nearest", new NearestMerge()),
          new Term<>("runs", List.of(decimal("threshold")), a -> new SimilarMerge(a.decimal(0))),
          new Term<>("quantise", List.of(text("format")), a -> quantise(a.text(0))),
          new Term<>(
              "quantise",
              List.of(text("k"), text("v")),
              a -> quantise("k=%s,v=%s".formatted(a.text(0), a.text(1)))),
          new Term<>("tiers", List.of(text("format")), a -> new Tiers(format(a.text(0)).keys())),
          new Term<>("shrink", List.of(number("percent")), a -> new ShrinkKeys(a.number(0))),
          new Term<>(
              "lowrank",
              List.of(percent("keys"), percent("values")),
              a -> new LowRank(a.percent(0), a.percent(1), null, null)),
          new Term<>(
              "lowrank",
              List.of(percent("keys"), percent("values"), text("format")),
              a -> new LowRank(a.percent(0), a.percent(1), format(a.text(2)).keys(), null)));

  private static final List<Term<Trigger>> TRIGGERS =
      List.of(
          new Term<>("block", List.of(number("tokens")), a -> new Trigger.Block(a.number(0))),
          new Term<>("half", new Trigger.Half()),
          new Term<>("prompt", new Trigger.Prompt()),
          new Term<>(
              "prompt", List.of(number("tokens")), a -> new Trigger.PromptBlocks(a.number(0))),
          new Term<>("step", new Trigger.Step()));

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
    RecipeText read = new RecipeText(text.strip());
    Matcher method = METHOD.matcher(read.text);
    return read.written(
        method.matches() ? read.method(method.group(1), method.group(2)) : read.text);
  }

  /** The names that can be asked for. */
  static List<String> names() {
    return Stream.of(
            Stream.of("full"),
            METHODS.stream().map(Method::form),
            Stream.of(
                "score=streaming(SINKS) budget=uniform(TOKENS) action=evict when=block(TOKENS)"))
        .flatMap(names -> names)
        .toList();
  }

  private String method(String name, @Nullable String in) {
    List<Method> known = METHODS.stream().filter(m -> m.name().equalsIgnoreCase(name)).toList();
    if (known.isEmpty()) {
      throw unknown("");
    }
    for (Method method : known) {
      String recipe = method.with(in);
      if (recipe != null) {
        return recipe;
      }
    }
    throw notWritten("recipe", known.stream().map(Method::form));
  }

  private IllegalArgumentException unknown(String why) {
    return new IllegalArgumentException(
        "There is no KV recipe '%s'%s. There are: %s."
            .formatted(text, why, String.join(", ", names())));
  }

  private IllegalArgumentException notWritten(String key, Stream<String> forms) {
    return new IllegalArgumentException(
        "The %s of the KV recipe '%s' is written %s, with whole numbers of at most 9 digits; numbers of tokens that are kept may be shares of the prompt, as in 25%%."
            .formatted(key, text, forms.collect(Collectors.joining(" or "))));
  }

  private Recipe written(String plain) {
    Matcher part = PART.matcher(plain);
    int at = 0;
    while (at < plain.length() && part.region(at, plain.length()).lookingAt()) {
      String key = part.group(1).toLowerCase(Locale.ROOT);
      String in = part.group(3) == null ? "" : part.group(3);
      if (parts.put(key, new Given(part.group(2), in)) != null) {
        throw new IllegalArgumentException(
            "The KV recipe '%s' says %s twice.".formatted(text, key));
      }
      at = part.end();
    }
    if (parts.isEmpty()) {
      throw unknown("");
    }
    if (at < plain.length()) {
      throw unknown(": it cannot be read from '%s' on".formatted(plain.substring(at)));
    }
    Recipe recipe = recipe();
    if (!parts.isEmpty()) {
      throw new IllegalArgumentException(
          "A KV recipe has no part %s, as in '%s'; it is written %s."
              .formatted(
                  String.join(" or ", parts.keySet().stream().sorted().toList()), text, FORM));
    }
    return recipe;
  }

  private Recipe recipe() {
    Scorer scorer = part("score", SCORERS);
    Allocator allocator = part("budget", ALLOCATORS);
    Action action = part("action", ACTIONS);
    Trigger trigger = part("when", TRIGGERS);
    return make(() -> new Recipe(scorer, allocator, action, trigger));
  }

  private <T> T part(String key, List<Term<T>> known) {
    String there = known.stream().map(Term::form).collect(Collectors.joining(", "));
    Given given = parts.remove(key);
    if (given == null) {
      throw new IllegalArgumentException(
          "The KV recipe '%s' lacks %s=…; there is: %s. It is written %s."
              .formatted(text, key, there, FORM));
    }
    List<Term<T>> meant =
        known.stream().filter(term -> term.name().equalsIgnoreCase(given.name())).toList();
    if (meant.isEmpty()) {
      throw new IllegalArgumentException(
          "There is no %s=%s for the KV recipe '%s'; there is: %s."
              .formatted(key, given.name(), text, there));
    }
    for (Term<T> term : meant) {
      Term.Arguments arguments = term.arguments(given.in());
      if (arguments != null) {
        return make(() -> term.make().apply(arguments));
      }
    }
    throw notWritten(key, meant.stream().map(Term::form));
  }

  private <T> T make(Supplier<T> thing) {
    try {
      return thing.get();
    } catch (IllegalArgumentException | UnsupportedFormatException e) {
      throw new IllegalArgumentException(
          "The KV recipe '%s': %s.".formatted(text, e.getMessage()), e);
    }
  }

  private static Action quantise(String formats) {
    KvFormat format = format(formats);
    return new Action.Quantise(format.keys(), format.values());
  }

  private static KvFormat format(String formats) {
    KvFormat format = KvFormat.parse(formats);
    if (format.sketch() > 0) {
      throw new IllegalArgumentException("tokens that are not sketched cannot become so later");
    }
    return format;
  }
}
