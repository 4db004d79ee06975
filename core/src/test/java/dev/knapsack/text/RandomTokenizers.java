package dev.knapsack.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/** Files {@code tokenizer.json} of all kinds, and texts to try them with, from a seed. */
final class RandomTokenizers {
  private static final String LLAMA_3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String CL100K =
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}+|"
          + " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";
  private static final String O200K =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final String[] REGEXES = {
    LLAMA_3,
    CL100K,
    O200K,
    "\\s+",
    "[^\\n]+|\\n+",
    "[0-9][0-9][0-9]",
    "\\p{Han}+|[\\u3040-\\u30ff]+",
    "[[:punct:]]+|[[:space:]]+",
    "[\\p{L}&&[^\\p{Han}]]+",
    "(?<=\\p{L})(?=\\p{N})|-",
    "^\\s|\\s$",
    "(?i)THE|wor|\\h{2,}",
    "x*",
    "\\w+|[^\\w\\s]+",
    "\\d{,2}",
    ".",
    "\\b"
  };

  private static final String[] PARTS = {
    "Hello",
    "hello",
    "the",
    "The",
    "world",
    "don't",
    "WE'LL",
    "it's",
    "I'M",
    "you're",
    "well-known",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\u00A0",
    "\u3000",
    "\u2003",
    "\u0085",
    "\u200B",
    "1",
    "12",
    "123",
    "2024",
    "3.14",
    "\u0663\u0664",
    "\u00BD",
    "\u2167",
    "\u00B2",
    "\uFF11",
    ".",
    ",",
    "!",
    "?",
    "...",
    "--",
    "_",
    "$",
    "+=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "|",
    "`",
    "~",
    "^",
    "@",
    "caf\u00E9",
    "cafe\u0301",
    "na\u00EFve",
    "\u00C5ngstr\u00F6m",
    "A\u030A",
    "\u1E9E",
    "\u00DF",
    "\u0130stanbul",
    "\u01C5",
    "\u017Fo",
    "\uFB01n",
    "\uFB00",
    "\u2460",
    "\u33A1",
    "\uFF21\uFF42",
    "\u65E5\u672C\u8A9E",
    "\u4E2D\u6587",
    "\u3072\u3089\u304C\u306A",
    "\u30AB\u30BF\u30AB\u30CA\u30FC",
    "\uFF76\uFF9E",
    "\uD55C\uAD6D",
    "\u1112\u1161\u11AB",
    "\uD840\uDC0B",
    "\u3131\u314F",
    "\u041F\u0440\u0438\u0432\u0435\u0442",
    "\u03A3\u03AF\u03C3\u03C5\u03C6\u03BF\u03C2",
    "\u0627\u0644",
    "\u0928\u092E\u0938\u094D\u0924\u0947",
    "\u0E2A\u0E27\u0E31",
    "\u05E9\u05B8\u05C1",
    "q\u0323\u0307",
    "q\u0307\u0323",
    "\uD83D\uDE00",
    "\uD83D\uDC69\u200D\uD83D\uDCBB",
    "\uD83C\uDDE9\uD83C\uDDEA",
    "\u2581",
    "\u2581the",
    "\u0120",
    "##ing",
    "\u201Cquoted\u201D",
    "\u2014",
    "\u2026",
    "\u3002",
    "\u0000",
    "\u0007",
    "\u007F",
    "\uFEFF",
    "\uFFFD",
    "\u00AD",
    "\uE000",
    "x",
    "xx",
    "abc",
    "ab",
    "<s>",
    "</s>",
    "<|user|>",
    "<|end|>",
    "[MASK]",
    "<extra>",
    "note",
    "Note",
    "<unk>",
    "<0x41>",
    "\uD835\uDC00"
  };

  private final SplittableRandom random;
  private final Map<String, Integer> vocabulary = new LinkedHashMap<>();

  RandomTokenizers(long seed) {
    random = new SplittableRandom(seed);
  }

  private int upTo(int bound) {
    return random.nextInt(bound);
  }

  private boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  @SafeVarargs
  private <T> T one(T... values) {
    return values[random.nextInt(values.length)];
  }

  /** A text of a few parts. */
  String text() {
    StringBuilder text = new StringBuilder();
    for (int n = upTo(12); n > 0; n--) {
      text.append(one(PARTS));
      if (chance(40)) {
        text.append(' ');
      }
    }
    return text.toString();
  }

  /** Ids of the last file's vocabulary. */
  int[] ids() {
    int[] ids = new int[1 + upTo(12)];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = upTo(vocabulary.size());
    }
    return ids;
  }

  /** A file. */
  String json() {
    vocabulary.clear();
    JsonObject root = new JsonObject();
    root.addProperty("version", "1.0");
    root.add("truncation", JsonNull.INSTANCE);
    root.add("padding", JsonNull.INSTANCE);
    boolean ofBytes = chance(35);
    JsonObject model = model(ofBytes);
    JsonElement normalizer = normalizer();
    // A token that becomes nothing would be found everywhere.
    boolean keeps = !normalizer.toString().matches(".*\"(Replace|Strip|Nmt)\".*");
    root.add("added_tokens", added(keeps));
    root.add("normalizer", normalizer);
    root.add("pre_tokenizer", splitter(ofBytes));
    root.add("post_processor", processor());
    root.add("decoder", decoder(ofBytes));
    root.add("model", model);
    return root.toString();
  }

  // Components

  private static JsonObject type(String name, Object... fields) {
    JsonObject json = new JsonObject();
    json.addProperty("type", name);
    for (int i = 0; i < fields.length; i += 2) {
      json.add(
          (String) fields[i],
          switch (fields[i + 1]) {
            case Boolean flag -> new JsonPrimitive(flag);
            case Number number -> new JsonPrimitive(number);
            case String text -> new JsonPrimitive(text);
            case JsonElement element -> element;
            default -> throw new IllegalArgumentException(String.valueOf(fields[i + 1]));
          });
    }
    return json;
  }

  private static JsonArray list(List<? extends JsonElement> elements) {
    JsonArray array = new JsonArray();
    elements.forEach(array::add);
    return array;
  }

  /** Of what matches nothing, texts are cut there, but nothing is put in its place. */
  private JsonObject fullPattern() {
    JsonObject pattern;
    do {
      pattern = pattern();
    } while (pattern.toString().matches(".*(x\\*|,2}|\\(\\?<=|\\\\b).*"));
    return pattern;
  }

  private JsonObject pattern() {
    JsonObject pattern = new JsonObject();
    if (chance(30)) {
      pattern.addProperty("String", one(" ", "-", "the", "\n", "\u2581", "."));
    } else {
      pattern.addProperty("Regex", one(REGEXES));
    }
    return pattern;
  }

  private JsonElement normalizer() {
    if (chance(30)) {
      return JsonNull.INSTANCE;
    }
    if (chance(40)) {
      List<JsonObject> all = new ArrayList<>();
      for (int n = 1 + upTo(3); n > 0; n--) {
        all.add(oneNormalizer());
      }
      return type("Sequence", "normalizers", list(all));
    }
    return oneNormalizer();
  }

  private JsonObject oneNormalizer() {
    return switch (upTo(12)) {
      case 0 -> type("NFC");
      case 1 -> type("NFD");
      case 2 -> type("NFKC");
      case 3 -> type("NFKD");
      case 4 -> type("Lowercase");
      case 5 -> type("StripAccents");
      case 6 -> {
        JsonObject bert =
            type(
                "BertNormalizer",
                "clean_text",
                chance(70),
                "handle_chinese_chars",
                chance(70),
                "lowercase",
                chance(50));
        bert.add("strip_accents", chance(50) ? JsonNull.INSTANCE : new JsonPrimitive(chance(50)));
        yield bert;
      }
      case 7 -> type("Strip", "strip_left", chance(50), "strip_right", chance(50));
      case 8 -> type("Nmt");
      case 9 -> type("Prepend", "prepend", one("\u2581", " ", "xy"));
      default ->
          chance(50)
              ? replaceSpaces()
              : type("Replace", "pattern", fullPattern(), "content", one("", "\u2581", "-", "ab"));
    };
  }

  private static JsonObject replaceSpaces() {
    JsonObject pattern = new JsonObject();
    pattern.addProperty("String", " ");
    return type("Replace", "pattern", pattern, "content", "\u2581");
  }

  private JsonElement splitter(boolean ofBytes) {
    List<JsonObject> all = new ArrayList<>();
    for (int n = upTo(3); n > 0; n--) {
      all.add(oneSplitter());
    }
    if (ofBytes) {
      all.add(
          type(
              "ByteLevel",
              "add_prefix_space",
              chance(40),
              "trim_offsets",
              true,
              "use_regex",
              chance(50)));
    } else if (chance(40)) {
      all.add(metaspace());
    }
    if (all.isEmpty()) {
      return JsonNull.INSTANCE;
    }
    return all.size() == 1 ? all.getFirst() : type("Sequence", "pretokenizers", list(all));
  }

  private JsonObject metaspace() {
    JsonObject metaspace =
        type(
            "Metaspace",
            "replacement",
            "\u2581",
            "prepend_scheme",
            one("always", "first", "never"));
    if (chance(70)) {
      metaspace.addProperty("split", chance(50));
    }
    return metaspace;
  }

  private JsonObject oneSplitter() {
    String behavior =
        one("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous");
    return switch (upTo(11)) {
      case 0 -> type("Digits", "individual_digits", chance(50));
      case 1 -> type("Punctuation", "behavior", behavior);
      case 2 -> type("WhitespaceSplit");
      case 3 -> type("Whitespace");
      case 4 -> type("BertPreTokenizer");
      case 5 -> type("CharDelimiterSplit", "delimiter", one("-", " ", "e"));
      case 6 -> type("UnicodeScripts");
      case 7 -> type("FixedLength", "length", 1 + upTo(6));
      default -> type("Split", "pattern", pattern(), "behavior", behavior, "invert", chance(30));
    };
  }

  private JsonElement processor() {
    if (chance(30)) {
      return JsonNull.INSTANCE;
    }
    JsonObject bytes = type("ByteLevel", "add_prefix_space", true, "trim_offsets", false);
    return switch (upTo(5)) {
      case 0 -> bytes;
      case 1 -> type("BertProcessing", "sep", named("</s>"), "cls", named("<s>"));
      case 2 ->
          type(
              "RobertaProcessing",
              "sep",
              named("</s>"),
              "cls",
              named("<s>"),
              "trim_offsets",
              true,
              "add_prefix_space",
              false);
      case 3 -> type("Sequence", "processors", list(List.of(bytes, template())));
      default -> template();
    };
  }

  private JsonArray named(String token) {
    JsonArray pair = new JsonArray();
    pair.add(token);
    pair.add(vocabulary.get(token));
    return pair;
  }

  private JsonObject template() {
    List<JsonObject> single = new ArrayList<>();
    if (chance(80)) {
      single.add(piece("SpecialToken", "<s>"));
    }
    single.add(piece("Sequence", "A"));
    if (chance(50)) {
      single.add(piece("SpecialToken", "</s>"));
    }
    JsonObject tokens = new JsonObject();
    for (String token : List.of("<s>", "</s>")) {
      JsonObject special = new JsonObject();
      special.addProperty("id", token);
      special.add("ids", list(List.of(new JsonPrimitive(vocabulary.get(token)))));
      special.add("tokens", list(List.of(new JsonPrimitive(token))));
      tokens.add(token, special);
    }
    return type(
        "TemplateProcessing",
        "single",
        list(single),
        "pair",
        list(List.of(piece("Sequence", "A"), piece("Sequence", "B"))),
        "special_tokens",
        tokens);
  }

  private static JsonObject piece(String kind, String id) {
    JsonObject inner = new JsonObject();
    inner.addProperty("id", id);
    inner.addProperty("type_id", 0);
    JsonObject piece = new JsonObject();
    piece.add(kind, inner);
    return piece;
  }

  private JsonElement decoder(boolean ofBytes) {
    JsonObject replace = type("Replace", "pattern", fullPattern(), "content", one(" ", "", "--"));
    JsonObject spaces = replaceSpaces();
    JsonObject pattern = new JsonObject();
    pattern.addProperty("String", "\u2581");
    spaces.add("pattern", pattern);
    spaces.addProperty("content", " ");
    JsonObject strip = type("Strip", "content", one(" ", "\u2581"), "start", upTo(3), "stop", 0);
    JsonObject metaspace = metaspace();
    JsonObject wordPiece = type("WordPiece", "prefix", "##", "cleanup", chance(50));
    return switch (upTo(ofBytes ? 4 : 10)) {
      case 0, 1 ->
          type("ByteLevel", "add_prefix_space", true, "trim_offsets", true, "use_regex", true);
      case 2 -> JsonNull.INSTANCE;
      case 3 -> replace;
      case 4 -> metaspace;
      case 5 -> wordPiece;
      case 6 -> type("BPEDecoder", "suffix", one("</w>", "e"));
      case 7 -> type("CTC", "pad_token", "<s>", "word_delimiter_token", "-", "cleanup", chance(50));
      case 8 ->
          type(
              "Sequence",
              "decoders",
              list(List.of(replace, type("ByteFallback"), type("Fuse"), strip)));
      default ->
          type(
              "Sequence",
              "decoders",
              list(
                  chance(50)
                      ? List.of(spaces, type("ByteFallback"), type("Fuse"), strip)
                      : List.of(type("Fuse"), spaces, strip)));
    };
  }

  // Vocabularies

  private JsonArray added(boolean normalized) {
    JsonArray added = new JsonArray();
    List<String> names =
        new ArrayList<>(List.of("<s>", "</s>", "<|user|>", "<|end|>", "[MASK]", "<extra>"));
    for (String name : names) {
      boolean special = !name.equals("<extra>");
      added.add(added(name, special, false, normalized));
    }
    if (chance(50)) {
      added.add(
          added(one("note", "Note", "the", "\n\n", "  ", "caf\u00E9"), false, true, normalized));
    }
    return added;
  }

  private JsonObject added(
      String content, boolean special, boolean singleWord, boolean normalized) {
    int id = vocabulary.computeIfAbsent(content, c -> vocabulary.size());
    JsonObject token = new JsonObject();
    token.addProperty("id", id);
    token.addProperty("content", content);
    token.addProperty("single_word", singleWord && chance(50));
    token.addProperty("lstrip", chance(25));
    token.addProperty("rstrip", chance(25));
    token.addProperty("normalized", normalized && chance(special ? 15 : 50));
    token.addProperty("special", special);
    return token;
  }

  private JsonObject model(boolean ofBytes) {
    for (String token : List.of("<unk>", "<s>", "</s>")) {
      vocabulary.put(token, vocabulary.size());
    }
    boolean bytes = chance(50);
    if (bytes) {
      for (int b = 0; b < 256; b++) {
        vocabulary.put(ByteTokens.name(b), vocabulary.size());
      }
    }
    Set<String> words = words(ofBytes);
    return ofBytes || chance(50)
        ? pairs(words, ofBytes, bytes)
        : switch (upTo(3)) {
          case 0 -> unigram(words, bytes);
          case 1 -> wordPieces(words);
          default -> wholeWords(words);
        };
  }

  /** Stretches of texts, as the vocabulary writes them. */
  private Set<String> words(boolean ofBytes) {
    Set<String> words = new LinkedHashSet<>();
    for (int n = 0; n < 60; n++) {
      String text = one(PARTS) + (chance(30) ? " " + one(PARTS) : "");
      if (ofBytes) {
        StringBuilder spelled = new StringBuilder();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
          spelled.append(ByteAlphabet.character(b & 0xFF));
        }
        text = spelled.toString();
      } else {
        text = text.replace(' ', '\u2581');
      }
      int count = text.codePointCount(0, text.length());
      int from = text.offsetByCodePoints(0, upTo(count));
      int left = text.codePointCount(from, text.length());
      words.add(text.substring(from, text.offsetByCodePoints(from, 1 + upTo(Math.min(left, 6)))));
    }
    return words;
  }

  private void put(String token) {
    vocabulary.putIfAbsent(token, vocabulary.size());
  }

  private JsonObject vocabularyJson() {
    JsonObject json = new JsonObject();
    vocabulary.forEach(json::addProperty);
    return json;
  }

  private JsonObject pairs(Set<String> words, boolean ofBytes, boolean bytes) {
    String prefix = !ofBytes && chance(20) ? "##" : "";
    String suffix = !ofBytes && chance(20) ? "</w>" : "";
    if (ofBytes && chance(80)) {
      for (int b = 0; b < 256; b++) {
        put(String.valueOf(ByteAlphabet.character(b)));
      }
    }
    Set<List<String>> merges = new LinkedHashSet<>();
    for (String word : words) {
      String left = "";
      for (int i = 0; i < word.length(); ) {
        int c = word.codePointAt(i);
        i += Character.charCount(c);
        String character =
            (left.isEmpty() ? "" : prefix)
                + Character.toString(c)
                + (i == word.length() && chance(60) ? suffix : "");
        put(character);
        if (!left.isEmpty()) {
          merges.add(List.of(left, character));
          put(left + character.substring(prefix.length()));
        }
        left += left.isEmpty() ? character : character.substring(prefix.length());
      }
    }
    JsonArray array = new JsonArray();
    boolean asPairs = chance(50);
    for (List<String> merge : merges) {
      if (asPairs) {
        array.add(list(merge.stream().map(JsonPrimitive::new).toList()));
      } else {
        array.add(String.join(" ", merge));
      }
    }
    JsonObject model =
        type(
            "BPE",
            "fuse_unk",
            chance(50),
            "byte_fallback",
            bytes,
            "ignore_merges",
            chance(30),
            "vocab",
            vocabularyJson(),
            "merges",
            array);
    model.add("dropout", JsonNull.INSTANCE);
    model.add("unk_token", chance(70) ? new JsonPrimitive("<unk>") : JsonNull.INSTANCE);
    if (!prefix.isEmpty()) {
      model.addProperty("continuing_subword_prefix", prefix);
    }
    if (!suffix.isEmpty()) {
      model.addProperty("end_of_word_suffix", suffix);
    }
    return model;
  }

  private JsonObject unigram(Set<String> words, boolean bytes) {
    words.forEach(this::put);
    words.forEach(word -> {
      if (chance(60)) {
        word.codePoints().mapToObj(Character::toString).forEach(this::put);
      }
    });
    JsonArray array = new JsonArray();
    for (String token : vocabulary.keySet()) {
      JsonArray pair = new JsonArray();
      pair.add(token);
      pair.add(-upTo(2000) / 128.0);
      array.add(pair);
    }
    return type("Unigram", "unk_id", 0, "byte_fallback", bytes, "vocab", array);
  }

  private JsonObject wordPieces(Set<String> words) {
    for (String word : words) {
      put(word);
      put("##" + word);
      word.codePoints().mapToObj(c -> "##" + Character.toString(c)).forEach(this::put);
    }
    return type(
        "WordPiece",
        "unk_token",
        "<unk>",
        "continuing_subword_prefix",
        "##",
        "max_input_chars_per_word",
        one(100, 5),
        "vocab",
        vocabularyJson());
  }

  private JsonObject wholeWords(Set<String> words) {
    words.forEach(this::put);
    for (String part : PARTS) {
      if (!part.startsWith("<")) {
        put(part);
      }
    }
    return type("WordLevel", "unk_token", "<unk>", "vocab", vocabularyJson());
  }
}
