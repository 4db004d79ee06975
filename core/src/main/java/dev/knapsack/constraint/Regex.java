package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** A regular expression of ECMAScript as a tree; what no automaton can do is not in it. */
sealed interface Regex {
  /** One character of a set. */
  record Characters(CodePoints set) implements Regex {}

  /** One after the other; of none, the empty text. */
  record Sequence(List<Regex> parts) implements Regex {}

  /** Any of these. */
  record Choice(List<Regex> options) implements Regex {}

  /** An item so many times; less than 0 at the most for any number. */
  record Repeat(Regex item, int least, int most) implements Regex {}

  /** The place before all characters, or behind all of them. */
  record Anchor(boolean start) implements Regex {}

  Regex EMPTY = new Sequence(List.of());

  /**
   * The tree of an expression.
   *
   * <p>Where the dialects of validators differ ({@code \s}, {@code .}) it stands for what all of
   * them take.
   *
   * @throws ConstraintException if it is none, or has look-around, back references or word
   *     boundaries; its place is the character, from 0
   */
  static Regex parse(String pattern) {
    return new RegexParser(pattern, false).parse();
  }

  /** The tree of an expression, which stands for what any of the dialects takes. */
  static Regex parseWide(String pattern) {
    return new RegexParser(pattern, true).parse();
  }

  /**
   * The texts that match from their beginning to their end.
   *
   * @param character the term of one character of a set
   */
  default Term whole(Terms terms, Function<CodePoints, Term> character) {
    return terms.choice(
        cases().stream().map(one -> one.text().term(terms, character)).toList());
  }

  /**
   * The texts in which there is a match, which is what {@code pattern} asks for.
   *
   * @param character the term of one character of a set
   */
  default Term search(Terms terms, Function<CodePoints, Term> character) {
    Term anything = terms.repeat(character.apply(CodePoints.ALL), 0, -1);
    return terms.choice(
        cases().stream()
            .map(
                one ->
                    terms.sequence(
                        one.start() ? terms.empty() : anything,
                        one.text().term(terms, character),
                        one.end() ? terms.empty() : anything))
            .toList());
  }

  private Term term(Terms terms, Function<CodePoints, Term> character) {
    return switch (this) {
      case Characters(CodePoints set) -> character.apply(set);
      case Sequence(List<Regex> parts) ->
          terms.sequence(parts.stream().map(part -> part.term(terms, character)).toList());
      case Choice(List<Regex> options) ->
          terms.choice(options.stream().map(option -> option.term(terms, character)).toList());
      case Repeat(Regex item, int least, int most) ->
          terms.repeat(item.term(terms, character), least, most);
      case Anchor _ -> throw new IllegalStateException("an anchor is no text");
    };
  }

  private boolean nullable() {
    return switch (this) {
      case Characters _ -> false;
      case Sequence(List<Regex> parts) -> parts.stream().allMatch(Regex::nullable);
      case Choice(List<Regex> options) -> options.stream().anyMatch(Regex::nullable);
      case Repeat(Regex item, int least, _) -> least == 0 || item.nullable();
      case Anchor _ -> true;
    };
  }

  // Anchors

  /**
   * A part of what an expression matches, without anchors.
   *
   * @param start it must stand at the beginning of the whole text
   * @param end it must stand at the end of it
   */
  record Case(boolean start, boolean end, Regex text) {
    private List<Case> then(Case next) {
      // Between an anchor and the end of the text that it names, nothing may stand.
      boolean emptyHere = next.start;
      boolean emptyThere = end;
      if ((emptyHere && !text.nullable()) || (emptyThere && !next.text.nullable())) {
        return List.of();
      }
      Regex here = emptyHere ? EMPTY : text;
      Regex there = emptyThere ? EMPTY : next.text;
      Regex both =
          here.equals(EMPTY)
              ? there
              : there.equals(EMPTY) ? here : new Sequence(List.of(here, there));
      return List.of(new Case(start || next.start, end || next.end, both));
    }
  }

  private List<Case> cases() {
    return switch (this) {
      case Characters _ -> List.of(new Case(false, false, this));
      case Anchor(boolean start) -> List.of(new Case(start, !start, EMPTY));
      case Sequence(List<Regex> parts) -> {
        if (!hasAnchor()) {
          yield List.of(new Case(false, false, this));
        }
        List<Case> all = List.of(new Case(false, false, EMPTY));
        for (Regex part : parts) {
          List<Case> next = part.cases();
          all =
              merged(
                  all.stream()
                      .flatMap(one -> next.stream().flatMap(two -> one.then(two).stream()))
                      .toList());
        }
        yield all;
      }
      case Choice(List<Regex> options) ->
          merged(options.stream().flatMap(option -> option.cases().stream()).toList());
      case Repeat(Regex item, int least, int most) -> {
        if (!item.hasAnchor()) {
          yield List.of(new Case(false, false, this));
        }
        if (most != 1) {
          throw new ConstraintException(
              "", "'^' or '$' inside a repetition; write the anchor outside of it.");
        }
        List<Case> cases = new ArrayList<>(item.cases());
        if (least == 0) {
          cases.add(new Case(false, false, EMPTY));
        }
        yield merged(cases);
      }
    };
  }

  /** Cases with the same anchors as one. */
  private static List<Case> merged(List<Case> cases) {
    Map<List<Boolean>, List<Regex>> byAnchors =
        cases.stream()
            .collect(
                Collectors.groupingBy(
                    one -> List.of(one.start, one.end),
                    LinkedHashMap::new,
                    Collectors.mapping(Case::text, Collectors.toList())));
    List<Case> merged = new ArrayList<>();
    byAnchors.forEach(
        (anchors, texts) ->
            merged.add(
                new Case(
                    anchors.get(0),
                    anchors.get(1),
                    texts.size() == 1 ? texts.getFirst() : new Choice(texts))));
    return merged;
  }

  private boolean hasAnchor() {
    return switch (this) {
      case Characters _ -> false;
      case Anchor _ -> true;
      case Sequence(List<Regex> parts) -> parts.stream().anyMatch(Regex::hasAnchor);
      case Choice(List<Regex> options) -> options.stream().anyMatch(Regex::hasAnchor);
      case Repeat(Regex item, _, _) -> item.hasAnchor();
    };
  }
}
