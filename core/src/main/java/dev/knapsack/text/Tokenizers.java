package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TokenizerJson;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Makes the tokenizer that a model's metadata describes (GGUF keys {@code tokenizer.ggml.*}). */
public final class Tokenizers {
  private static final String PREFIX = "tokenizer.ggml.";
  private static final String MODEL = PREFIX + "model";
  private static final String PRE = PREFIX + "pre";

  /**
   * Texts of tokens with which models end an answer. Files name one of them as the end of sequence
   * and often forget the others.
   */
  private static final Set<String> ENDS =
      Set.of(
          "<|eot_id|>",
          "<|eom_id|>",
          "<|im_end|>",
          "<|end|>",
          "<|return|>",
          "<|call|>",
          "<|calls|>",
          "<|flush|>",
          "<end_of_turn>",
          "<turn|>",
          "<|tool_response>",
          "<|endoftext|>",
          "<|end_of_text|>",
          "<end_of_utterance>",
          "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
          "<EOT>",
          "_<EOT>",
          "[EOT]",
          "[EOS]",
          "</s>",
          "<eos>",
          "<|fim_pad|>",
          "<fim-pad>",
          "<fim_pad>",
          "<PAD>",
          "<|fim_repo|>",
          "<|repo_name|>",
          "<fim-repo>",
          "<REPO>",
          "<reponame>",
          "<|file_sep|>");

  /** Keys of tokens that end an answer, beside that of the end of sequence. */
  private static final List<String> OTHER_ENDS =
      List.of(
          "eot_token_id",
          "eom_token_id",
          "fim_pad_token_id",
          "fim_rep_token_id",
          "fim_sep_token_id");

  /**
   * The id that llama.cpp takes in byte pair encodings for a first or last token that does not
   * exist.
   */
  private static final int BYTE_PAIRS_INSTEAD = 11;

  private final Metadata metadata;
  private final Path file;
  private final Vocabulary vocabulary;
  private final String kind;
  private final Set<String> notes = new LinkedHashSet<>();

  private Tokenizers(Metadata metadata, Path file, String kind, Vocabulary vocabulary) {
    this.metadata = metadata;
    this.file = file;
    this.kind = kind;
    this.vocabulary = vocabulary;
  }

  /**
   * The tokenizer of a model.
   *
   * @throws ModelFileException if the file has none, or one that is damaged or not supported
   */
  static Tokenizer of(ModelFile file) {
    Metadata metadata = file.metadata();
    return file.tokenizerJson()
        .map(json -> of(metadata, json, file.path()))
        .orElseGet(() -> of(metadata, file.path()));
  }

  /** The tokenizer of a {@code tokenizer.json}, whose special tokens the metadata name. */
  static Tokenizer of(Metadata metadata, TokenizerJson json, Path file) {
    return new Tokenizers(metadata, file, "tokenizer.json", Vocabulary.of(json)).read(json);
  }

  /**
   * Makes a tokenizer.
   *
   * @param file the file that errors name
   * @throws ModelFileException if the metadata has no tokenizer, or one that is damaged or not
   *     supported
   */
  public static Tokenizer of(Metadata metadata, Path file) {
    String kind = metadata.string(MODEL);
    return switch (kind) {
      case "gpt2", "gemma4", "llama", "bert", "rwkv", "plamo2" -> {
        boolean scored = kind.equals("llama") || kind.equals("plamo2");
        Vocabulary vocabulary = Vocabulary.read(metadata, file, scored);
        yield new Tokenizers(metadata, file, kind, vocabulary).read();
      }
      default ->
          throw new ModelFileException(
              file,
              MODEL,
              "'"
                  + kind
                  + "' is not supported; supported are gpt2 (byte pair encoding), gemma4, llama"
                  + " (SentencePiece), bert (WordPiece), rwkv (longest match) and plamo2 (greatest"
                  + " score)");
    };
  }

  private Tokenizer read() {
    boolean sentencePiece = kind.equals("llama");
    boolean wordPiece = kind.equals("bert");
    boolean longestMatch = kind.equals("rwkv");
    boolean greatestScore = kind.equals("plamo2");
    int unknown = id("unknown_token_id", sentencePiece ? 0 : wordPiece ? 100 : -1);
    int usualBos = sentencePiece || greatestScore ? 1 : wordPiece ? id("cls_token_id", 101) : -1;
    int usualEos = sentencePiece || greatestScore ? 2 : wordPiece ? separator() : -1;
    boolean bytePairs = !sentencePiece && !wordPiece && !longestMatch && !greatestScore;
    int bos = id("bos_token_id", usualBos, bytePairs ? BYTE_PAIRS_INSTEAD : usualBos);
    int eos = id("eos_token_id", usualEos, bytePairs ? BYTE_PAIRS_INSTEAD : usualEos);
    int last = wordPiece ? separator() : eos;

    boolean addFirst = sentencePiece || wordPiece;
    TextModel model;
    if (wordPiece) {
      model = new WordPieceModel(vocabulary, Math.max(0, unknown));
    } else if (sentencePiece) {
      model = SentencePieceModel.read(metadata, vocabulary, unknown);
    } else if (longestMatch) {
      model = new LongestMatchModel(file, vocabulary, unknown);
    } else if (greatestScore) {
      model = new GreatestScoreModel(file, vocabulary);
    } else {
      PreTokenizer preTokenizer = preTokenizer();
      addFirst = preTokenizer.beginsText();
      model =
          BytePairModel.read(
              metadata, file, vocabulary, preTokenizer, kind.equals("gpt2"), unknown);
    }
    addFirst = metadata.flag(PREFIX + "add_bos_token", addFirst);
    boolean addLast =
        wordPiece
            ? metadata.flag(PREFIX + "add_sep_token", true)
            : metadata.flag(PREFIX + "add_eos_token", false);
    List<Integer> ends = ends(eos);
    return new VocabularyTokenizer(
        vocabulary,
        model,
        specialTokens(),
        bos,
        eos,
        addFirst ? bos : -1,
        addLast ? last : -1,
        ends,
        List.copyOf(notes));
  }

  private Tokenizer read(TokenizerJson json) {
    int bos = id("bos_token_id", -1);
    int eos = id("eos_token_id", -1);
    List<Integer> ends = ends(eos);
    PostProcessing processing = processing(json, true, bos, eos);
    return new PipelineTokenizer(
        json,
        vocabulary,
        processing,
        processing(json, false, -1, -1),
        bos,
        eos,
        ends,
        List.copyOf(notes));
  }

  private PostProcessing processing(TokenizerJson json, boolean addSpecial, int bos, int eos) {
    Component component =
        Component.of(json.file(), "post_processor", json.section("post_processor"));
    PostProcessing processing = PostProcessing.read(component, addSpecial, vocabulary.size());
    if (metadata.has(PREFIX + "add_bos_token")) {
      processing = processing.withFirst(bos, metadata.flag(PREFIX + "add_bos_token"));
    }
    if (metadata.has(PREFIX + "add_eos_token")) {
      processing = processing.withLast(eos, metadata.flag(PREFIX + "add_eos_token"));
    }
    return processing;
  }

  private int separator() {
    // The misspelling is GGUF's.
    return id("seperator_token_id", 102);
  }

  /**
   * A token id that the metadata gives; where it gives none, or one that is not in the vocabulary,
   * the usual one, if the vocabulary goes so far.
   */
  private int id(String name, int usual) {
    return id(name, usual, usual);
  }

  /**
   * A token id that the metadata gives; where it gives none, the usual one, if the vocabulary goes
   * so far.
   *
   * @param instead what stands in for an id that is not in the vocabulary
   */
  private int id(String name, int usual, int instead) {
    String key = PREFIX + name;
    if (!metadata.has(key)) {
      return usual < vocabulary.size() ? usual : -1;
    }
    Object given = given(key);
    if (isToken(given)) {
      return ((Long) given).intValue();
    }
    int replacement = instead < vocabulary.size() ? instead : -1;
    notes.add(
        "%s is %s, and the vocabulary ends at %d; %s is taken"
            .formatted(
                key,
                given,
                vocabulary.size() - 1,
                replacement < 0 ? "none" : replacement + ", as is usual,"));
    return replacement;
  }

  /** A whole number as the file has it, of any size: none that is not a token stops a model. */
  private Object given(String key) {
    return metadata.all().get(key) instanceof BigInteger large ? large : metadata.integer(key);
  }

  private List<?> several(String key) {
    if (metadata.all().get(key) instanceof List<?> list) {
      metadata.integers(key); // must be able to give them
      return list;
    }
    return List.of(given(key));
  }

  private boolean isToken(Object given) {
    return given instanceof Long id && id >= 0 && id < vocabulary.size();
  }

  private PreTokenizer preTokenizer() {
    String name = kind.equals("gemma4") ? "gemma4" : metadata.findString(PRE).orElse("default");
    PreTokenizer preTokenizer = PreTokenizer.named(name);
    if (preTokenizer == null) {
      throw new ModelFileException(
          file,
          PRE,
          "'"
              + name
              + "' is not supported; supported are "
              + String.join(", ", PreTokenizer.names()));
    }
    return preTokenizer;
  }

  /** The tokens that end an answer; from now on they count as control tokens. */
  private List<Integer> ends(int eos) {
    Set<Integer> ends = new LinkedHashSet<>();
    if (eos >= 0) {
      ends.add(eos);
    }
    for (String name : OTHER_ENDS) {
      int id = id(name, -1);
      if (id >= 0) {
        ends.add(id);
      }
    }
    String list = PREFIX + "eos_token_ids";
    for (Object given : metadata.has(list) ? several(list) : List.of()) {
      if (isToken(given)) {
        ends.add(((Long) given).intValue());
      } else {
        notes.add(
            "%s has %s, and the vocabulary ends at %d; it is left out"
                .formatted(list, given, vocabulary.size() - 1));
      }
    }
    // Writers of files forget that these steer: what counts is the name, whatever the type.
    ENDS.stream().map(vocabulary::find).filter(id -> id >= 0).forEach(ends::add);
    for (int id = 0; id < vocabulary.size(); id++) {
      TokenType type = vocabulary.type(id);
      if ((type == TokenType.CONTROL || type == TokenType.USER_DEFINED)
          && ENDS.contains(vocabulary.text(id))) {
        ends.add(id);
      }
    }
    // Where an answer has several parts, <|end|> ends a part; where tools answer, </s> is a tag.
    Set<String> texts = new HashSet<>();
    ends.forEach(id -> texts.add(vocabulary.text(id)));
    boolean parts =
        (texts.contains("<|call|>") && texts.contains("<|return|>"))
            || (texts.contains("<|flush|>")
                && (texts.contains("<|call|>") || texts.contains("<|calls|>")));
    ends.removeIf(id -> {
      String text = vocabulary.text(id);
      return id != eos
          && ((parts && text.equals("<|end|>"))
              || (text.equals("</s>") && texts.contains("<|tool_response>")));
    });
    String key = PREFIX + "eos_token_id";
    boolean replaced = metadata.has(key) && !given(key).equals((long) eos);
    ends.stream()
        .filter(id -> id != eos || !replaced)
        .forEach(id -> vocabulary.type(id, TokenType.CONTROL));
    return ends.stream()
        .sorted(Comparator.comparing((Integer id) -> id != eos).thenComparing(id -> id))
        .toList();
  }

  private SpecialTokens specialTokens() {
    // GGUF does not say which tokens swallow the blanks after them; Phi 3 is known to have such.
    String name = metadata.findString("general.name").orElse("").toLowerCase(Locale.ROOT);
    boolean phi3 = name.contains("phi-3") || name.contains("phi3");
    Set<String> keepBlanks = Set.of("<unk>", "<s>", "<|endoftext|>");
    List<SpecialTokens.Entry> entries = new ArrayList<>();
    for (int id = 0; id < vocabulary.size(); id++) {
      TokenType type = vocabulary.type(id);
      switch (type) {
        case CONTROL, UNKNOWN, USER_DEFINED -> {
          String text = vocabulary.text(id);
          entries.add(
              new SpecialTokens.Entry(
                  id,
                  text,
                  SpecialTokens.steers(type, text),
                  false,
                  false,
                  phi3 && !keepBlanks.contains(text)));
        }
        case UNDEFINED, NORMAL, UNUSED, BYTE -> {}
      }
    }
    return new SpecialTokens(entries);
  }
}
