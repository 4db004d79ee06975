package dev.knapsack.constraint;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Texts of so many characters in which expressions are found and others are not.
 *
 * @param least characters (code points) at the least
 * @param most characters at the most; less than 0 for any number
 * @param refused expressions that are found in none of them
 * @param formats what they are besides, until {@link #settled}
 * @param without texts that are not among them
 */
record StringSet(
    int least,
    int most,
    List<Pattern> patterns,
    List<Pattern> refused,
    List<StringFormat> formats,
    List<String> without) {
  /**
   * An expression as it was written, and as it is understood.
   *
   * @param wide true to find it where any dialect does, false where all of them do
   */
  record Pattern(String source, Regex regex, boolean wide) {
    static Pattern of(String source) {
      return new Pattern(source, Regex.parse(source), false);
    }

    /** The same, found where any dialect finds it. */
    Pattern widely() {
      return new Pattern(source, Regex.parseWide(source), true);
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Pattern pattern
          && source.equals(pattern.source)
          && wide == pattern.wide;
    }

    @Override
    public int hashCode() {
      return source.hashCode();
    }
  }

  static final StringSet ALL = new StringSet(0, -1, List.of(), List.of(), List.of(), List.of());

  StringSet {
    patterns = List.copyOf(patterns);
    refused = List.copyOf(refused);
    formats = List.copyOf(formats);
    without = List.copyOf(without);
  }

  StringSet atLeast(int length) {
    return new StringSet(Math.max(least, length), most, patterns, refused, formats, without);
  }

  StringSet atMost(int length) {
    int tighter = most < 0 || length < most ? length : most;
    return new StringSet(least, tighter, patterns, refused, formats, without);
  }

  StringSet with(Pattern pattern) {
    return new StringSet(least, most, added(patterns, pattern), refused, formats, without);
  }

  StringSet without(Pattern pattern) {
    return new StringSet(least, most, patterns, added(refused, pattern.widely()), formats, without);
  }

  StringSet with(StringFormat format) {
    return new StringSet(least, most, patterns, refused, added(formats, format), without);
  }

  StringSet without(String text) {
    return new StringSet(least, most, patterns, refused, formats, added(without, text));
  }

  /** Texts that are of both. */
  StringSet and(StringSet other) {
    StringSet all = atLeast(other.least);
    all = other.most < 0 ? all : all.atMost(other.most);
    for (Pattern pattern : other.patterns) {
      all = all.with(pattern);
    }
    for (Pattern pattern : other.refused) {
      all = all.without(pattern);
    }
    for (StringFormat format : other.formats) {
      all = all.with(format);
    }
    for (String text : other.without) {
      all = all.without(text);
    }
    return all;
  }

  private static <T> List<T> added(List<T> list, T one) {
    return list.contains(one) ? list : Stream.concat(list.stream(), Stream.of(one)).toList();
  }

  /**
   * The same with formats as expressions. A format that no text of the expressions has says
   * nothing, as the standard lets it: clients write patterns for times without a zone beside a
   * format that wants one.
   */
  StringSet settled(Scratch scratch) {
    StringSet expected = new StringSet(0, -1, patterns, List.of(), List.of(), List.of());
    StringSet settled = new StringSet(least, most, patterns, refused, List.of(), without);
    for (StringFormat format : formats) {
      if (patterns.isEmpty() || !expected.with(format.pattern()).isEmpty(scratch)) {
        StringSet with = settled.with(format.pattern());
        settled = format.most() < 0 ? with : with.atMost(format.most());
      }
    }
    return settled;
  }

  boolean has(String text, Scratch scratch) {
    int length = text.codePointCount(0, text.length());
    return length >= least
        && (most < 0 || length <= most)
        && !without.contains(text)
        && refused.stream().noneMatch(pattern -> scratch.isFound(pattern, text))
        && patterns.stream().allMatch(pattern -> scratch.isFound(pattern, text));
  }

  boolean isEmpty(Scratch scratch) {
    return (most >= 0 && most < least) || (isCompared() && !scratch.isLive(this));
  }

  /** Says whether it matters how a character is written. */
  private boolean isCompared() {
    return !(patterns.isEmpty() && refused.isEmpty() && without.isEmpty());
  }

  /** The contents of values, between their quotes. */
  Term content(Terms terms, JsonText text) {
    return isCompared() ? name(terms, text) : counted(terms, text.freeCharacter());
  }

  private Term counted(Terms terms, Term character) {
    return most >= 0 && most < least ? terms.never() : terms.repeat(character, least, most);
  }

  /** The contents of names, which are never written in two ways. */
  Term name(Terms terms, JsonText text) {
    Optional<Term> found = patterns.stream().map(text::found).reduce(terms::both);
    Term one = found.isPresent() ? text.exactCharacter() : text.character(CodePoints.ALL);
    Term content = found.orElseGet(() -> counted(terms, one));
    if (found.isPresent() && (least > 0 || most >= 0)) {
      content = terms.both(content, counted(terms, one));
    }
    for (Pattern pattern : refused) {
      content = terms.except(content, text.found(pattern));
    }
    List<Term> others = without.stream().map(JsonText::content).map(terms::text).toList();
    return terms.except(content, terms.choice(others));
  }
}
