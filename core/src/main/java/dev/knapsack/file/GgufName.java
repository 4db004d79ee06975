package dev.knapsack.file;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * The name of a GGUF file, and what it says of what is in it.
 *
 * <p>Source: the naming convention of the GGUF specification (base name, size, version, encoding,
 * type, part), and the names on the hub that keep to it more or less.
 *
 * @param text the name, with the folders it stands in
 */
record GgufName(String text) {
  private static final Pattern GGUF = Pattern.compile("(?i).*\\.gguf");
  private static final Pattern PART =
      Pattern.compile("(?i)(.*)-(\\d{5})-of-(\\d{5})\\.gguf(\\{[^/{}]*}|\\?.*)?");

  /** One or more encodings, such as {@code Q4_K_M}, {@code UD-IQ2_XXS} or {@code Q8_0-f16}. */
  private static final Pattern LABEL =
      Pattern.compile(
          "(?i)(?<![A-Z0-9])(UD-)?(?:ENC)(?:[-.](?:ENC))*(?![A-Z0-9_])"
              .replace(
                  "ENC",
                  "(?:I?Q|TQ)\\d{1,2}(?:_[A-Z0-9]+)*+|(?:BF|FP?|MXFP|NVFP)\\d{1,2}(?:_[A-Z0-9]+)*+"));

  private static final Pattern BESIDE_MODELS = Pattern.compile("(?i).*(mmproj|imatrix)[^/]*");
  private static final Pattern SELDOM_MODELS =
      Pattern.compile(
          "(?i)(.*[^a-z0-9])?(lora|adapters?|vocab|cvector|control[-_]?vector)([^a-z0-9][^/]*)?");

  static GgufName of(Path file) {
    return new GgufName(String.valueOf(file.getFileName()));
  }

  static boolean is(String text) {
    return GGUF.matcher(text).matches();
  }

  /** The part of a model that this is, from 1; 1 for a model in one file. */
  int part() {
    Matcher part = PART.matcher(text);
    return part.matches() ? Integer.parseInt(part.group(2)) : 1;
  }

  /** The number of the model's parts. */
  int parts() {
    Matcher part = PART.matcher(text);
    return part.matches() ? Math.max(1, Integer.parseInt(part.group(3))) : 1;
  }

  /** The name of another part of the same model. */
  GgufName part(int number) {
    Matcher part = PART.matcher(text);
    return part.matches()
        ? new GgufName(
            text.substring(0, part.start(2))
                + "%05d".formatted(number)
                + text.substring(part.end(2)))
        : this;
  }

  /** The names of all parts, in order. */
  List<GgufName> all() {
    return IntStream.rangeClosed(1, parts()).mapToObj(this::part).toList();
  }

  /** Without what says which part it is, and without the ending. */
  private String stem() {
    Matcher part = PART.matcher(text);
    return part.matches() ? part.group(1) : text.replaceFirst("(?i)\\.gguf$", "");
  }

  /** The label of its numbers' encoding, as the name has it, if it says so. */
  Optional<String> label() {
    return LABEL.matcher(stem()).results().map(MatchResult::group).reduce((_, last) -> last);
  }

  /**
   * Says whether the name ends with its label: nothing is said that tells it from others of that.
   */
  boolean endsWithLabel() {
    return label().filter(stem()::endsWith).isPresent();
  }

  static boolean isLabel(String text) {
    return LABEL.matcher(text).matches();
  }

  boolean hasLabel(String wanted) {
    return label().filter(wanted::equalsIgnoreCase).isPresent();
  }

  /**
   * Says whether it has the label but for the mark of one who mixes encodings by a way of their
   * own.
   */
  boolean hasMarkedLabel(String wanted) {
    return hasLabel("UD-" + wanted);
  }

  /** Says whether words of the name, as they stand there together, are these. */
  boolean says(String words) {
    String name = stem().toLowerCase(Locale.ROOT);
    return Pattern.compile(
            "(?<![\\p{L}\\p{N}_])"
                + Pattern.quote(words.toLowerCase(Locale.ROOT))
                + "(?![\\p{L}\\p{N}_])")
        .matcher(name)
        .find();
  }

  /** Says whether this is the whole name, or the file's without folders; of any part. */
  boolean is(GgufName other) {
    String first = part(1).text;
    String wanted = other.part(1).text;
    return first.equals(wanted) || first.endsWith("/" + wanted);
  }

  /** Says whether it is what lies beside models and is none: a projector, an importance matrix. */
  boolean isBesideModels() {
    return BESIDE_MODELS.matcher(text).matches();
  }

  /** Says whether it is more likely an adapter or a vocabulary, though models are called so too. */
  boolean isSeldomModel() {
    return SELDOM_MODELS.matcher(text).matches();
  }
}
