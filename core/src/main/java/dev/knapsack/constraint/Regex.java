package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
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

  /**
   * A place from which on the text begins as another expression has it.
   *
   * @param negative true if it must not
   */
  record LookAhead(Regex ahead, boolean negative) implements Regex {}

  /** The place before all characters, or behind all of them. */
  record Anchor(boolean start) implements Regex {}

  /**
   * The tree of an expression.
   *
   * <p>Where the dialects of validators differ ({@code \s}, {@code .}) it stands for what all of
   * them take.
   *
   * @throws ConstraintException if it is none, or has look-behind, back references or word
   *     boundaries; its place is the character, from 0
   */
  static Regex parse(String pattern) {
    Regex regex = new RegexParser(pattern, false).parse();
    Terms terms = new Terms();
    Term any = terms.bytes(ByteSet.ALL);
    regex.search(terms, _ -> any); // what cannot be written as a term is refused here
    return regex;
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
    return new Writing(terms, character).texts(cases(), true);
  }

  /**
   * The texts in which there is a match, which is what {@code pattern} asks for.
   *
   * @param character the term of one character of a set
   */
  default Term search(Terms terms, Function<CodePoints, Term> character) {
    return new Writing(terms, character).texts(cases(), false);
  }

  /** Makes terms of expressions. */
  record Writing(Terms terms, Function<CodePoints, Term> character, Term anything) {
    private Writing(Terms terms, Function<CodePoints, Term> character) {
      this(terms, character, terms.repeat(character.apply(CodePoints.ALL), 0, -1));
    }

    /**
     * @param whole true for nothing before and behind
     */
    private Term texts(List<Case> cases, boolean whole) {
      return terms.choice(
          cases.stream()
              .map(one ->
                  terms.sequence(
                      whole || one.start ? terms.empty() : anything,
                      before(
                          one.text,
                          whole || one.end ? terms.empty() : anything,
                          whole || one.start)))
              .toList());
    }

    /**
     * An expression and all that follows it, which is what looking ahead sees.
     *
     * @param first true if it stands at the beginning of the whole text
     */
    private Term before(Regex regex, Term rest, boolean first) {
      return switch (regex) {
        case Characters(CodePoints set) -> terms.sequence(character.apply(set), rest);
        case Sequence(List<Regex> parts) -> {
          Term all = rest;
          for (int i = parts.size() - 1; i >= 0; i--) {
            boolean nothingBefore =
                first && parts.subList(0, i).stream().allMatch(part -> part instanceof LookAhead);
            all = before(parts.get(i), all, nothingBefore);
          }
          yield all;
        }
        case Choice(List<Regex> options) when regex.any(r -> r instanceof LookAhead) ->
            terms.choice(options.stream().map(option -> before(option, rest, first)).toList());
        case Choice(List<Regex> options) ->
            terms.sequence(terms.choice(options.stream().map(this::alone).toList()), rest);
        case Repeat(Regex item, int least, int most) -> {
          if (item.any(r -> r instanceof LookAhead)) {
            throw new ConstraintException(
                "", "looking ahead inside a repetition; write it outside of it.");
          }
          yield terms.sequence(terms.repeat(alone(item), least, most), rest);
        }
        case LookAhead(Regex ahead, boolean negative) -> {
          Term other = terms.choice(ahead.cases().stream().map(one -> from(one, first)).toList());
          yield negative ? terms.except(rest, other) : terms.both(rest, other);
        }
        case Anchor _ -> throw new IllegalStateException("an anchor is no text");
      };
    }

    private Term alone(Regex regex) {
      return before(regex, terms.empty(), false);
    }

    /** All texts that begin as a case has it. */
    private Term from(Case one, boolean first) {
      if (one.start && !first) {
        throw new ConstraintException("", "'^' ahead of a place; leave it out.");
      }
      return before(one.text, one.end ? terms.empty() : anything, first);
    }
  }

  private boolean nullable() {
    return switch (this) {
      case Characters _ -> false;
      case Sequence(List<Regex> parts) -> parts.stream().allMatch(Regex::nullable);
      case Choice(List<Regex> options) -> options.stream().anyMatch(Regex::nullable);
      case Repeat(Regex item, int least, _) -> least == 0 || item.nullable();
      case Anchor _ -> true;
      case LookAhead _ ->
          throw new ConstraintException(
              "", "looking ahead beside an anchor that ends or begins the text; leave it out.");
    };
  }

  private boolean any(Predicate<Regex> wanted) {
    return wanted.test(this)
        || switch (this) {
          case Characters _, Anchor _, LookAhead _ -> false;
          case Sequence(List<Regex> parts) -> parts.stream().anyMatch(part -> part.any(wanted));
          case Choice(List<Regex> options) ->
              options.stream().anyMatch(option -> option.any(wanted));
          case Repeat(Regex item, _, _) -> item.any(wanted);
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
    private static final Regex EMPTY = new Sequence(List.of());

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
      case Characters _, LookAhead _ -> List.of(new Case(false, false, this));
      case Anchor(boolean start) -> List.of(new Case(start, !start, Case.EMPTY));
      case Sequence(List<Regex> parts) -> {
        if (!hasAnchor()) {
          yield List.of(new Case(false, false, this));
        }
        List<Case> all = List.of(new Case(false, false, Case.EMPTY));
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
          cases.add(new Case(false, false, Case.EMPTY));
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
    byAnchors.forEach((anchors, texts) ->
        merged.add(
            new Case(
                anchors.get(0),
                anchors.get(1),
                texts.size() == 1 ? texts.getFirst() : new Choice(texts))));
    return merged;
  }

  private boolean hasAnchor() {
    return any(regex -> regex instanceof Anchor);
  }
}
