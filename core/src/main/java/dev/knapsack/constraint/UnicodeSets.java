package dev.knapsack.constraint;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntPredicate;

/** Characters by their properties in Unicode, as the Java runtime knows them. */
final class UnicodeSets {
  private static final Map<String, Integer> CATEGORIES =
      Map.ofEntries(
          Map.entry("Lu", (int) Character.UPPERCASE_LETTER),
          Map.entry("Ll", (int) Character.LOWERCASE_LETTER),
          Map.entry("Lt", (int) Character.TITLECASE_LETTER),
          Map.entry("Lm", (int) Character.MODIFIER_LETTER),
          Map.entry("Lo", (int) Character.OTHER_LETTER),
          Map.entry("Mn", (int) Character.NON_SPACING_MARK),
          Map.entry("Mc", (int) Character.COMBINING_SPACING_MARK),
          Map.entry("Me", (int) Character.ENCLOSING_MARK),
          Map.entry("Nd", (int) Character.DECIMAL_DIGIT_NUMBER),
          Map.entry("Nl", (int) Character.LETTER_NUMBER),
          Map.entry("No", (int) Character.OTHER_NUMBER),
          Map.entry("Pc", (int) Character.CONNECTOR_PUNCTUATION),
          Map.entry("Pd", (int) Character.DASH_PUNCTUATION),
          Map.entry("Ps", (int) Character.START_PUNCTUATION),
          Map.entry("Pe", (int) Character.END_PUNCTUATION),
          Map.entry("Pi", (int) Character.INITIAL_QUOTE_PUNCTUATION),
          Map.entry("Pf", (int) Character.FINAL_QUOTE_PUNCTUATION),
          Map.entry("Po", (int) Character.OTHER_PUNCTUATION),
          Map.entry("Sm", (int) Character.MATH_SYMBOL),
          Map.entry("Sc", (int) Character.CURRENCY_SYMBOL),
          Map.entry("Sk", (int) Character.MODIFIER_SYMBOL),
          Map.entry("So", (int) Character.OTHER_SYMBOL),
          Map.entry("Zs", (int) Character.SPACE_SEPARATOR),
          Map.entry("Zl", (int) Character.LINE_SEPARATOR),
          Map.entry("Zp", (int) Character.PARAGRAPH_SEPARATOR),
          Map.entry("Cc", (int) Character.CONTROL),
          Map.entry("Cf", (int) Character.FORMAT),
          Map.entry("Co", (int) Character.PRIVATE_USE),
          Map.entry("Cn", (int) Character.UNASSIGNED));

  private static final Map<String, String> LONG_NAMES =
      Map.ofEntries(
          Map.entry("Letter", "L"),
          Map.entry("Uppercase_Letter", "Lu"),
          Map.entry("Lowercase_Letter", "Ll"),
          Map.entry("Mark", "M"),
          Map.entry("Number", "N"),
          Map.entry("Decimal_Number", "Nd"),
          Map.entry("Punctuation", "P"),
          Map.entry("Symbol", "S"),
          Map.entry("Separator", "Z"),
          Map.entry("Other", "C"));

  private static final Map<String, IntPredicate> BINARY =
      Map.ofEntries(
          Map.entry("Any", c -> true),
          Map.entry("ASCII", c -> c < 0x80),
          Map.entry("Alphabetic", Character::isAlphabetic),
          Map.entry("Lowercase", Character::isLowerCase),
          Map.entry("Uppercase", Character::isUpperCase),
          Map.entry("Ideographic", Character::isIdeographic),
          Map.entry("Emoji", Character::isEmoji),
          Map.entry("Emoji_Presentation", Character::isEmojiPresentation),
          Map.entry("Emoji_Modifier", Character::isEmojiModifier),
          Map.entry("Emoji_Modifier_Base", Character::isEmojiModifierBase),
          Map.entry("Emoji_Component", Character::isEmojiComponent),
          Map.entry("Extended_Pictographic", Character::isExtendedPictographic));

  private UnicodeSets() {}

  /**
   * The characters that have a property, as ECMAScript writes it between braces: a general
   * category, a script, or some that are true or false.
   */
  static Optional<CodePoints> property(String name) {
    int equals = name.indexOf('=');
    String key = equals < 0 ? "" : name.substring(0, equals);
    String value = name.substring(equals + 1);
    return switch (key) {
      case "" -> binary(value).or(() -> category(value));
      case "gc", "General_Category" -> category(value);
      case "sc", "Script" -> script(value);
      default -> Optional.empty();
    };
  }

  private static Optional<CodePoints> binary(String name) {
    return Optional.ofNullable(BINARY.get(name)).map(UnicodeSets::where);
  }

  private static Optional<CodePoints> category(String name) {
    String category = LONG_NAMES.getOrDefault(name, name);
    int types = 0;
    for (Map.Entry<String, Integer> each : CATEGORIES.entrySet()) {
      if (!category.isEmpty() && each.getKey().startsWith(category)) {
        types |= 1 << each.getValue();
      }
    }
    int wanted = types;
    return types == 0
        ? Optional.empty()
        : Optional.of(where(c -> (wanted >>> Character.getType(c) & 1) != 0));
  }

  private static Optional<CodePoints> script(String name) {
    try {
      Character.UnicodeScript script = Character.UnicodeScript.forName(name);
      return Optional.of(where(c -> Character.UnicodeScript.of(c) == script));
    } catch (IllegalArgumentException _) {
      return Optional.empty();
    }
  }

  private static CodePoints where(IntPredicate wanted) {
    int[] ranges = new int[64];
    int size = 0;
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (wanted.test(c)) {
        if (size > 0 && ranges[size - 1] == c - 1) {
          ranges[size - 1] = c;
        } else {
          if (size == ranges.length) {
            ranges = Arrays.copyOf(ranges, 2 * size);
          }
          ranges[size++] = c;
          ranges[size++] = c;
        }
      }
    }
    return new CodePoints(Arrays.copyOf(ranges, size)).and(CodePoints.ALL);
  }
}
