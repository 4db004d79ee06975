package dev.knapsack.text;

import static java.util.Map.entry;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The cuts that byte pair encoding makes in a text before it merges: no merge crosses one.
 *
 * <p>A list of patterns, each applied to what the one before it left: a match is a piece, and so is
 * the text between matches. The patterns are those of the models' own tokenizers, under the names
 * that GGUF gives them ({@code tokenizer.ggml.pre}). None of them backtracks more than once over a
 * run of characters, and none recurses, so a megabyte of one character is no trouble.
 *
 * @param beginsText the model expects the beginning-of-sequence token, unless the file says
 *     otherwise
 * @param wholeWords a word that is a token is that token, whatever the merges would make of it
 */
record PreTokenizer(List<Pattern> patterns, boolean beginsText, boolean wholeWords) {

  /** In either case, which for an s includes the long one. */
  private static final String ENGLISH_SUFFIX =
      "'[sS\\u017F]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";

  private static final String BLANKS = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final String GPT2 =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

  /** The pattern of Llama 3 and its relatives, which differ in how many digits make a piece. */
  private static String llama3(String digits) {
    return ENGLISH_SUFFIX
        + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        + digits
        + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
        + BLANKS;
  }

  /** The pattern of GPT-4o and its relatives: a word ends where lower case turns to upper. */
  private static String gpt4o(String suffix, String digits, String exceptLetters) {
    String upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}" + exceptLetters + "]";
    String lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}" + exceptLetters + "]";
    String before = "[^\\r\\n\\p{L}\\p{N}]?";
    return (before + upper + "*" + lower + "+" + suffix)
        + ("|" + before + upper + "+" + lower + "*" + suffix)
        + ("|" + digits);
  }

  private static final String OPTIONAL_SUFFIX = "(?:" + ENGLISH_SUFFIX + ")?";
  private static final String UP_TO_THREE_DIGITS = "\\p{N}{1,3}";
  private static final String SYMBOLS = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|";
  private static final String SYMBOLS_WITH_SLASH = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|";

  /** Letters that have case, as the tokenizer of DeepSeek LLM lists them. */
  private static final String CASED =
      "A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293"
          + "\\u0295-\\u02AF\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386"
          + "\\u0388-\\u038A\\u038C\\u038E-\\u03A1\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F"
          + "\\u0531-\\u0556\\u10A0-\\u10C5\\u13A0-\\u13F5\\u13F8-\\u13FD\\u1C90-\\u1CBA"
          + "\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77\\u1D79-\\u1D9A\\u1E00-\\u1F15"
          + "\\u1F18-\\u1F1D\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59\\u1F5B\\u1F5D"
          + "\\u1F5F-\\u1F7D\\u1F80-\\u1FB4\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC"
          + "\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102"
          + "\\u2107\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128\\u212A-\\u212D"
          + "\\u212F-\\u2134\\u2139\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184"
          + "\\u2C00-\\u2C7B\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE\\u2CF2\\u2CF3\\uA640-\\uA66D"
          + "\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787\\uA78B-\\uA78E\\uAB70-\\uABBF"
          + "\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A\\x{10400}-\\x{1044F}"
          + "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"
          + "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}";

  private static final String DEEPSEEK_ASIAN = "[\\u4E00-\\u9FA5\\u0800-\\u4E00\\uAC00-\\uD7FF]+";

  private static final String BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+";

  private static PreTokenizer of(String... patterns) {
    return new PreTokenizer(
        Arrays.stream(patterns)
            // The models' patterns mean Unicode by \s and its complement, Java's by default ASCII.
            .map(pattern -> Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS))
            .toList(),
        false,
        false);
  }

  private PreTokenizer withWholeWords() {
    return new PreTokenizer(patterns, beginsText, true);
  }

  private PreTokenizer withBeginning() {
    return new PreTokenizer(patterns, true, wholeWords);
  }

  /** The names that share a way of cutting, by the first of them. */
  private static final Map<String, String> ALIASES =
      Map.ofEntries(
          entry("llama3", "llama-bpe"),
          entry("llama-v3", "llama-bpe"),
          entry("falcon3", "llama-bpe"),
          entry("falcon-h1", "llama-bpe"),
          entry("pixtral", "llama-bpe"),
          entry("midm-2.0", "llama-bpe"),
          entry("lfm2", "llama-bpe"),
          entry("smollm3", "llama-bpe"),
          entry("smaug-bpe", "dbrx"),
          entry("glm4", "dbrx"),
          entry("chatglm-bpe", "dbrx"),
          entry("phi-2", "gpt-2"),
          entry("gigachat", "gpt-2"),
          entry("a.x-4.0", "gpt-2"),
          entry("mellum", "gpt-2"),
          entry("modern-bert", "gpt-2"),
          entry("exaone4", "gpt-2"),
          entry("mpt", "gpt-2"),
          entry("olmo", "gpt-2"),
          entry("jais", "gpt-2"),
          entry("trillion", "gpt-2"),
          entry("granite-docling", "gpt-2"),
          entry("refact", "starcoder"),
          entry("command-r", "starcoder"),
          entry("smollm", "starcoder"),
          entry("codeshell", "starcoder"),
          entry("exaone", "starcoder"),
          entry("minerva-7b", "starcoder"),
          entry("deepseek-r1-qwen", "qwen2"),
          entry("stablelm2", "qwen2"),
          entry("megrez", "qwen2"),
          entry("hunyuan", "qwen2"),
          entry("kormo", "qwen2"),
          entry("grok-2", "qwen2"),
          entry("solar-open", "qwen2"),
          entry("hunyuan-dense", "deepseek-v3"),
          entry("joyai-llm", "deepseek-v3"),
          entry("llama4", "gpt-4o"),
          entry("kanana2", "gpt-4o"),
          entry("minimax-m2", "gpt-4o"),
          entry("poro-chat", "bloom"),
          entry("gpt3-finnish", "bloom"),
          entry("bailingmoe2", "bailingmoe"),
          entry("llada-moe", "bailingmoe"));

  private static final List<String> ORIGINALS =
      List.of(
          "default",
          "gpt-2",
          "llama-bpe",
          "dbrx",
          "qwen2",
          "qwen35",
          "deepseek-llm",
          "deepseek-coder",
          "deepseek-v3",
          "falcon",
          "starcoder",
          "gpt-4o",
          "tekken",
          "kimi-k2",
          "bloom",
          "viking",
          "bailingmoe",
          "seed-coder",
          "gemma4");

  /** The pre-tokenizer of a GGUF name, or null if there is none. */
  static @Nullable PreTokenizer named(String name) {
    return switch (ALIASES.getOrDefault(name, name)) {
      case "default" -> of("[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]");
      case "gpt-2" -> of(GPT2);
      case "llama-bpe" -> of(llama3(UP_TO_THREE_DIGITS)).withWholeWords().withBeginning();
      case "dbrx" -> of(llama3(UP_TO_THREE_DIGITS));
      case "qwen2" -> of(llama3("\\p{N}"));
      case "qwen35" ->
          of(
              ENGLISH_SUFFIX
                  + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                  + "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
                  + BLANKS);
      case "deepseek-llm" ->
          of(
              "[\\r\\n]",
              "\\s?[" + CASED + "]+",
              "\\s?[!-/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+",
              // Without the look-behind, a long run of blanks that ends otherwise costs its square.
              "(?<!\\s)\\s+\\z",
              DEEPSEEK_ASIAN,
              "\\p{N}+");
      case "deepseek-coder" ->
          of("[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_ASIAN, "\\p{N}");
      case "deepseek-v3" ->
          of(
              UP_TO_THREE_DIGITS,
              "[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+",
              "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                  + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
                  + BLANKS);
      case "falcon" -> of("[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]");
      case "starcoder" -> of("\\p{N}", GPT2);
      case "gpt-4o" ->
          of(gpt4o(OPTIONAL_SUFFIX, UP_TO_THREE_DIGITS, "") + SYMBOLS_WITH_SLASH + BLANKS);
      case "tekken" ->
          of(gpt4o("", "\\p{N}", "") + SYMBOLS_WITH_SLASH + BLANKS)
              .withWholeWords()
              .withBeginning();
      case "kimi-k2" ->
          of(
              "\\p{IsHan}+|"
                  + gpt4o(OPTIONAL_SUFFIX, UP_TO_THREE_DIGITS, "&&[^\\p{IsHan}]")
                  + SYMBOLS
                  + BLANKS);
      case "bloom" -> of(BLOOM);
      case "viking" -> of(BLOOM, "\\p{N}");
      case "bailingmoe" ->
          of(
              "'(?:[sS\\u017FdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])"
                  + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                  + "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+");
      case "seed-coder" ->
          of(
              ENGLISH_SUFFIX
                  + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|"
                  + BLANKS);
      case "gemma4" -> of("[^\\n]+|\\n+").withBeginning();
      default -> null;
    };
  }

  /** The names of all pre-tokenizers, sorted. */
  static List<String> names() {
    TreeSet<String> names = new TreeSet<>(ALIASES.keySet());
    names.addAll(ORIGINALS);
    return List.copyOf(names);
  }

  /** Takes the pieces of a text in order. */
  interface Sink {
    void piece(int from, int to);
  }

  /** A splitter of one text. */
  Splitter splitter(CharSequence text) {
    return new Splitter(patterns.stream().map(pattern -> pattern.matcher(text)).toList());
  }

  /** Cuts stretches of one text into pieces; for one thread. */
  static final class Splitter {
    private final List<Matcher> matchers;

    private Splitter(List<Matcher> matchers) {
      this.matchers = matchers;
    }

    /** Cuts characters {@code from} (inclusive) to {@code to}, as if they were the whole text. */
    void split(int from, int to, Sink sink) {
      split(0, from, to, sink);
    }

    private void split(int stage, int from, int to, Sink sink) {
      if (from == to) {
        return;
      }
      if (stage == matchers.size()) {
        sink.piece(from, to);
        return;
      }
      Matcher matcher = matchers.get(stage).region(from, to);
      int done = from;
      while (matcher.find()) {
        split(stage + 1, done, matcher.start(), sink);
        split(stage + 1, matcher.start(), matcher.end(), sink);
        done = matcher.end();
      }
      split(stage + 1, done, to, sink);
    }
  }
}
