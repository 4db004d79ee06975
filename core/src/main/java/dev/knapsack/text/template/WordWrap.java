package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** Breaks a line into several of a width, between words and behind hyphens. */
final class WordWrap {
  private final int width;
  private final boolean breakWords;
  private final boolean breakHyphens;
  private final Meter meter;

  WordWrap(int width, boolean breakWords, boolean breakHyphens, Meter meter) {
    this.width = width;
    this.breakWords = breakWords;
    this.breakHyphens = breakHyphens;
    this.meter = meter;
  }

  /** A piece of the line: a word, a part of one up to a hyphen, or the blanks between two. */
  private record Piece(int from, int to, boolean blank) {}

  List<Object> lines(MarkedText text) {
    if (width <= 0) {
      throw new TemplateException("invalid width " + width + " (must be > 0)");
    }
    Deque<Piece> pieces = new ArrayDeque<>(pieces(text.text()));
    List<Object> lines = meter.list(0);
    while (!pieces.isEmpty()) {
      if (!lines.isEmpty() && pieces.getFirst().blank()) {
        pieces.removeFirst();
        if (pieces.isEmpty()) {
          break;
        }
      }
      int from = pieces.getFirst().from();
      int end = from;
      int used = 0;
      Piece last = pieces.getFirst();
      while (!pieces.isEmpty() && used + size(text, pieces.getFirst()) <= width) {
        last = pieces.removeFirst();
        used += size(text, last);
        end = last.to();
      }
      if (!pieces.isEmpty() && size(text, pieces.getFirst()) > width) {
        int cut = cut(text, pieces.removeFirst(), width - used, pieces, end == from);
        if (breakWords || cut > end) {
          last = new Piece(end, cut, isBlank(text, end, cut));
          end = cut;
        }
      }
      if (last.blank() && end > from) {
        end = last.from();
      }
      if (end > from) {
        meter.elements(1);
        lines.add(Strings.part(text, from, end, meter));
      }
    }
    return lines;
  }

  private static boolean isBlank(MarkedText text, int from, int to) {
    return from < to && isBlank(text.charAt(from));
  }

  /** Code points of a piece; of one that is longer than a line only that it is. */
  private int size(MarkedText text, Piece piece) {
    int most = (int) Math.min(piece.to(), piece.from() + 2L * width + 2);
    return text.text().codePointCount(piece.from(), most);
  }

  /** The place on this line where a piece longer than it ends; what is left goes back. */
  private int cut(MarkedText text, Piece piece, int room, Deque<Piece> rest, boolean alone) {
    if (!breakWords) {
      if (!alone) {
        rest.addFirst(piece);
      }
      return alone ? piece.to() : piece.from();
    }
    int take = text.text().offsetByCodePoints(piece.from(), room);
    if (breakHyphens && take > piece.from()) {
      int hyphen = take - 1;
      while (hyphen > piece.from() && text.charAt(hyphen) != '-') {
        hyphen--;
      }
      boolean said = false;
      for (int i = piece.from(); i < hyphen && !said; i++) {
        said = text.charAt(i) != '-';
      }
      take = said && hyphen > piece.from() ? hyphen + 1 : take;
    }
    rest.addFirst(new Piece(take, piece.to(), piece.blank()));
    return take;
  }

  private List<Piece> pieces(String text) {
    meter.step(1 + (text.length() >> 2));
    List<Piece> pieces = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      boolean blank = isBlank(text.charAt(at));
      int end = at + 1;
      while (end < text.length() && isBlank(text.charAt(end)) == blank) {
        end++;
      }
      if (blank || !breakHyphens) {
        meter.elements(4);
        pieces.add(new Piece(at, end, blank));
      } else {
        words(text, at, end, pieces);
      }
      at = end;
    }
    return pieces;
  }

  private static boolean isBlank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
  }

  /** Parts a word behind hyphens between letters, and before and behind dashes. */
  private void words(String text, int from, int to, List<Piece> pieces) {
    for (int start = from; start < to; ) {
      int end = dashEnd(text, start, to);
      if (end < 0) {
        end = start + 1;
        while (end < to && !isHyphenWithin(text, end, to) && dashEnd(text, end, to) < 0) {
          end++;
        }
        if (end < to && isHyphenWithin(text, end, to)) {
          end++;
        }
      }
      meter.elements(4);
      pieces.add(new Piece(start, end, false));
      start = end;
    }
  }

  /** The end of a dash of two hyphens or more between words; -1 if there is none. */
  private static int dashEnd(String text, int at, int to) {
    if (text.charAt(at) != '-' || at == 0 || !isBeforeDash(text.charAt(at - 1))) {
      return -1;
    }
    int end = at;
    while (end < to && text.charAt(end) == '-') {
      end++;
    }
    return end - at >= 2 && end < to && TextFilters.isWord(text.codePointAt(end)) ? end : -1;
  }

  private static boolean isBeforeDash(char c) {
    return TextFilters.isWord(c) || "!\"'&.,?".indexOf(c) >= 0;
  }

  private static boolean isHyphenWithin(String text, int at, int to) {
    return text.charAt(at) == '-'
        && isLetter(text, at - 1, to)
        && (isLetter(text, at - 2, to)
            || (isHyphen(text, at - 2, to) && isLetter(text, at - 3, to)))
        && isLetter(text, at + 1, to)
        && (isLetter(text, at + 2, to)
            || (isHyphen(text, at + 2, to) && isLetter(text, at + 3, to)));
  }

  private static boolean isHyphen(String text, int at, int to) {
    return at >= 0 && at < to && text.charAt(at) == '-';
  }

  private static boolean isLetter(String text, int at, int to) {
    return at >= 0
        && at < to
        && TextFilters.isWord(text.charAt(at))
        && !Character.isDigit(text.charAt(at));
  }
}
